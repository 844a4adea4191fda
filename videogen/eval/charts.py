"""Line charts as SVG text that takes the page's own font and ink colour."""

import dataclasses
import io
import math
from collections.abc import Sequence
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

BLUE, ORANGE, GREEN, RED = "#3b82f6", "#f59e0b", "#10b981", "#ef4444"
# Drawn in this colour, then replaced by the page's: readable on light and dark.
INK = "#010203"
STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 10,
    **dict.fromkeys(("text.color", "axes.edgecolor", "axes.labelcolor"), INK),
    **dict.fromkeys(("xtick.color", "ytick.color", "grid.color"), INK),
    **dict.fromkeys(("axes.spines.top", "axes.spines.right"), False),
    "axes.grid": True,
    "grid.alpha": 0.15,
    "axes.linewidth": 0.6,
    "legend.frameon": False,
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Line:
    """One curve. A `smooth` one is drawn faint beneath its running mean."""

    label: str
    x: Sequence[float | int]
    y: Sequence[float]
    color: str = BLUE
    marker: str = ""
    smooth: bool = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class Chart:
    """A title, its curves, and the places on x where a run resumed."""

    title: str
    lines: Sequence[Line]
    x_label: str = "step"
    marks: Sequence[float | int] = ()
    size: tuple[float, float] = (5.0, 2.8)  # inches
    # (label, factor) of a second scale on the right
    twin: tuple[str, float] | None = None
    from_zero: bool = False


def draw(chart: Chart) -> str:
    """An <svg> element; points that are not finite are gaps, and red crosses below."""
    # A salt per chart keeps the ids of several charts on one page apart.
    with matplotlib.rc_context({**STYLE, "svg.hashsalt": chart.title}):
        figure = Figure(figsize=chart.size, layout="constrained")
        axes = figure.add_subplot()
        for line in chart.lines:
            _draw_line(axes, line)
        _finish(axes, chart)
        text = io.StringIO()
        metadata = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(text, format="svg", transparent=True, metadata=metadata)
    svg = text.getvalue()
    return svg[svg.index("<svg") :].replace(INK, "currentColor")


def running_mean(y: Sequence[float], window: int) -> list[float]:
    """Mean over the last `window` points, leaving out those that are not finite."""
    means = []
    for end in range(1, len(y) + 1):
        near = [v for v in y[max(0, end - window) : end] if math.isfinite(v)]
        means.append(sum(near) / len(near) if near else math.nan)
    return means


def _draw_line(axes: Axes, line: Line) -> None:
    style = {"color": line.color, "marker": line.marker, "markersize": 4}
    # A lone point has no line to be seen by.
    if len(line.x) == 1:
        style["marker"] = "o"
    if line.smooth and len(line.x) > 20:
        axes.plot(line.x, line.y, color=line.color, alpha=0.3, linewidth=0.8)
        smoothed = running_mean(line.y, window=len(line.y) // 20)
        axes.plot(line.x, smoothed, label=line.label, linewidth=1.6, **style)
    else:
        axes.plot(line.x, line.y, label=line.label, linewidth=1.6, **style)
    bad = [x for x, y in zip(line.x, line.y, strict=True) if not math.isfinite(y)]
    if bad:
        bottom = axes.get_xaxis_transform()
        low = [0.03] * len(bad)
        axes.plot(bad, low, "x", color=RED, label="not finite", transform=bottom)


def _finish(axes: Axes, chart: Chart) -> None:
    axes.set_title(chart.title, loc="left", fontsize=11, fontweight="bold")
    axes.set_xlabel(chart.x_label)
    for i, mark in enumerate(chart.marks):
        label = None if i else "resumed"
        axes.axvline(
            mark, color=INK, linestyle=":", linewidth=1, alpha=0.6, label=label
        )
    if chart.x_label == "step":
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=7))
    if chart.twin:
        label, factor = chart.twin
        scale = (lambda v: v * factor, lambda v: v / factor)
        right = axes.secondary_yaxis("right", functions=scale)
        right.set_ylabel(label)
    if chart.from_zero:
        axes.set_ylim(bottom=0)
    count = len(axes.get_legend_handles_labels()[1])
    if count > 1:  # above the axes, beside the title: never over a curve
        place = {"loc": "lower right", "bbox_to_anchor": (1, 1), "borderpad": 0}
        axes.legend(ncols=count, fontsize=8, columnspacing=1, handlelength=1.5, **place)
