"""A run's history -> the curves of its report."""

from collections.abc import Sequence

from videogen.eval.charts import BLUE, GREEN, ORANGE, Chart, Line
from videogen.eval.history import History, number


def make_charts(history: History) -> list[Chart]:
    """The curves that the metrics allow, the loss first."""
    marks = [resume.again for resume in history.resumes]
    loss = [
        curve(history, "train", "loss", "training", smooth=True),
        curve(history, "validation", "loss", "validation", color=ORANGE, marker="o"),
        curve(
            history,
            "validation",
            "loss_ema",
            "validation, EMA",
            color=GREEN,
            marker="o",
        ),
    ]
    speed = curve(history, "train", "steps_per_second", "steps/s")
    wanted = [
        Chart(title="Loss", lines=drawn(loss), marks=marks, size=(10.4, 3.4)),
        Chart(
            title="Throughput (steps/s)",
            lines=drawn([speed]),
            marks=marks,
            twin=token_scale(history),
            from_zero=True,
        ),
        Chart(
            title="Gradient norm",
            lines=drawn([curve(history, "train", "grad_norm", "norm", smooth=True)]),
            marks=marks,
        ),
        Chart(title="Validation loss over t, EMA", lines=by_time(history), x_label="t"),
        Chart(
            title="Learning rate",
            lines=drawn([curve(history, "train", "learning_rate", "rate")]),
            from_zero=True,
        ),
    ]
    return [chart for chart in wanted if chart.lines]


def curve(history: History, split: str, name: str, label: str, **style) -> Line:
    """A metric as a line; `style` is what Line has besides."""
    steps, values = history.series(split, name)
    return Line(label=label, x=steps, y=values, **style)


def drawn(lines: Sequence[Line]) -> list[Line]:
    return [line for line in lines if len(line.x)]


def by_time(history: History) -> list[Line]:
    """Loss over diffusion time at the first and the last validation."""
    names = [n for n in history.names("validation") if n.startswith("loss_ema/t=")]
    steps = history.steps("validation")
    if not names:
        return []
    t = [float(name.partition("=")[2]) for name in names]
    rows = history.splits["validation"]
    ends = [(steps[0], BLUE), (steps[-1], GREEN)][-len(steps) :]
    return [
        Line(
            label=f"step {step}",
            x=t,
            y=[number(rows[step].get(name)) for name in names],
            color=color,
            marker="o",
        )
        for step, color in ends
    ]


def token_scale(history: History) -> tuple[str, float] | None:
    """("tokens/s", tokens per step) for the throughput's right-hand scale."""
    steps = history.last("train", "steps_per_second")
    tokens = history.last("train", "tokens_per_second")
    return ("tokens/s", tokens / steps) if steps and tokens else None
