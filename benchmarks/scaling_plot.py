"""The picture of docs/scaling.md: cycles, HBM, collectives and MFU by chips, as SVG."""

import io
from collections.abc import Callable, Iterable
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.scaling import CHIPS, CHIPS_OF_A_CLIP, CLIPS, Cost, costs, series
from videogen.eval.charts import BLUE, INK, ORANGE, STYLE

PANELS: dict[str, Callable[[Cost], float]] = {
    "Gcycles": lambda cost: cost.giga_cycles,
    "HBM GiB": lambda cost: cost.hbm_gib,
    "collectives GB": lambda cost: cost.sent_gb,
    "MFU %": lambda cost: 100 * cost.mfu,
}
LOGARITHMIC = {"Gcycles", "collectives GB"}
LINES = {
    "weak": (BLUE, f"a clip for {CHIPS_OF_A_CLIP} chips"),
    "strong": (ORANGE, f"{CLIPS} clips"),
}


def draw(models: Iterable[str]) -> str:
    """A row of panels a model; filled marks are compiled steps."""
    models = list(models)
    style: dict[Any, Any] = {**STYLE, "svg.hashsalt": "scaling", "font.size": 8}
    with matplotlib.rc_context(style):
        figure = Figure(figsize=(10, 2.4 * len(models)), layout="constrained")
        grid = figure.subplots(len(models), len(PANELS), squeeze=False)
        for row, model in zip(grid, models, strict=True):
            for axes, name in zip(row, PANELS, strict=True):
                panel(axes, model, name)
                axes.set_title(f"{model}: {name}", loc="left", fontsize=8)
        grid[0][-1].legend(loc="lower left", fontsize=7)
        text = io.StringIO()
        metadata = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(text, format="svg", facecolor="white", metadata=metadata)
    svg = text.getvalue()
    lines = svg[svg.index("<svg") :].replace(INK, "#222222").splitlines()
    return "".join(f"{line.rstrip()}\n" for line in lines)


def panel(axes: Axes, model: str, name: str) -> None:
    """Both kinds of scaling of one figure."""
    value = PANELS[name]
    for kind, points in series(model).items():
        color, label = LINES[kind]
        estimates = [value(costs(point)[0]) for point in points]
        axes.plot(CHIPS, estimates, "o-", color=color, mfc="white", label=label)
        found = [(x.chips, value(cost)) for x in points for cost in costs(x)[1:]]
        for chips, compiled in found:
            axes.plot(chips, compiled, "o", color=color)
    axes.set_xscale("log", base=2)
    axes.set_xticks(CHIPS[::2], [f"{chips:,}" for chips in CHIPS[::2]])
    axes.set_xlabel("chips")
    if name in LOGARITHMIC:
        axes.set_yscale("log")
    else:
        axes.set_ylim(bottom=0)
