"""One self-contained HTML page about a run: curves, samples that play, config, events.

Reads a workdir and nothing else: metrics.jsonl (required), and where they exist
config.json, run.json (facts recorded at the start, e.g. params and devices) and
samples/step_*/samples.json with the files it names.
"""

import dataclasses
import datetime
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup
from PIL import Image

from videogen.core.errors import DataError
from videogen.eval.charts import draw
from videogen.eval.curves import make_charts
from videogen.eval.environment import environment
from videogen.eval.history import History, read_history
from videogen.eval.page import data_url, fill, jpeg_url, write_page

MOST_VIDEOS, MOST_SHEETS = 16, 8


@dataclasses.dataclass(frozen=True, kw_only=True)
class SampleSet:
    """One samples/step_*/ directory that was finished: samples.json is written last."""

    directory: Path
    step: int
    samples: list[dict[str, Any]]
    facts: dict[str, Any]

    def videos(self) -> list[dict[str, str]]:
        """Captions with their videos as data URLs."""
        there = [s for s in self.samples if (self.directory / s["file"]).is_file()]
        return [
            {
                "caption": sample.get("caption") or "(no caption)",
                "url": data_url(
                    "video/mp4", (self.directory / sample["file"]).read_bytes()
                ),
            }
            for sample in there[:MOST_VIDEOS]
        ]

    def sheet(self) -> str | None:
        """The contact sheet as a data URL, made small."""
        path = self.directory / "contact_sheet.png"
        if not path.is_file():
            return None
        with Image.open(path) as image:
            return jpeg_url(image)


def write_report(workdir: Path, out: Path | None = None) -> Path:
    """Writes the page (workdir/report.html unless `out` is given); returns its path.

    Raises DataError when the workdir has no metrics or a damaged file, ConfigError when
    the page cannot be written.
    """
    return write_page(out or workdir / "report.html", render(workdir))


def render(workdir: Path) -> str:
    """The page as text."""
    history = read_history(workdir / "metrics.jsonl")
    config = flatten(read_json(workdir / "config.json"))
    facts = read_json(workdir / "run.json")
    # Where it was trained; this machine's own for a run that did not record it.
    trained_in = facts.pop("environment", None) or environment()
    run = flatten(facts)
    sets = read_sample_sets(workdir)
    return fill(
        "report.jinja",
        name=workdir.resolve().name,
        tiles=tiles(history, config, run),
        charts=[Markup(draw(chart)) for chart in make_charts(history)],
        latest=sets[-1] if sets else None,
        earlier=spread(sets[:-1], MOST_SHEETS),
        events=list(events(history)),
        config=group(config),
        run=run,
        environment=trained_in,
        made=clock(datetime.datetime.now().timestamp()),
    )


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object; empty when there is no such file."""
    try:
        value = json.loads(path.read_text())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read as JSON ({error})") from error
    if not isinstance(value, dict):
        raise DataError(f"{path}: is not a JSON object")
    return value


def read_sample_sets(workdir: Path) -> list[SampleSet]:
    """The finished sample sets by step; unfinished ones are left out."""
    sets = []
    for path in workdir.glob("samples/*/samples.json"):
        record = read_json(path)
        step = re.fullmatch(r"step_(\d+)", path.parent.name)
        samples = record.pop("samples", None)
        if step is None or not isinstance(samples, list):
            continue
        sets.append(
            SampleSet(
                directory=path.parent, step=int(step[1]), samples=samples, facts=record
            )
        )
    return sorted(sets, key=lambda each: each.step)


def tiles(
    history: History, config: dict[str, str], run: dict[str, str]
) -> Iterator[tuple[str, str, str]]:
    """(label, figure, note) of the summary, the known ones only."""
    steps = history.steps("train")
    of = config.get("train.steps")
    if steps:
        yield "steps", f"{steps[-1]:,}", f"of {int(of):,}" if of else ""
    for label, split, name in (
        ("training loss", "train", "loss"),
        ("validation loss", "validation", "loss"),
        ("validation, EMA", "validation", "loss_ema"),
    ):
        last = history.last(split, name)
        if last is not None:
            first_steps, first = history.series(split, name)
            note = f"{first[0]:.4f} at step {first_steps[0]}" if len(first) > 1 else ""
            yield label, f"{last:.4f}", note
    if "params" in run:
        yield "parameters", count(float(run["params"])), ""
    speed = history.last("train", "steps_per_second")
    if speed is not None:
        tokens = history.last("train", "tokens_per_second")
        yield "steps/s", f"{speed:.3g}", f"{tokens:,.0f} tokens/s" if tokens else ""
    yield "resumes", str(len(history.resumes)), ""


def events(history: History) -> Iterator[tuple[str, str]]:
    """(when, what) of each resume and of what went wrong."""
    for resume in history.resumes:
        yield (
            clock(resume.time),
            f"resumed: had logged step {resume.reached}, went on from before step "
            f"{resume.again}, {resume.pause:.0f} s after the last line",
        )
    skipped = sum(v for v in history.series("train", "skipped")[1] if v > 0)
    if skipped:
        yield "", f"steps skipped, loss or gradient not finite: {skipped:.0f}"
    if history.damaged:
        yield "", f"damaged lines of metrics.jsonl, left out: {history.damaged}"


def flatten(tree: dict[str, Any], prefix: str = "") -> dict[str, str]:
    """{"a": {"b": 1}} -> {"a.b": "1"}."""
    flat: dict[str, str] = {}
    for key, value in tree.items():
        if isinstance(value, dict):
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value if isinstance(value, str) else json.dumps(value)
    return flat


def group(flat: dict[str, str]) -> dict[str, dict[str, str]]:
    """Dotted names by their first part; names without a dot under ''."""
    groups: dict[str, dict[str, str]] = {}
    for name, value in flat.items():
        head, _, tail = name.rpartition(".")
        groups.setdefault(head, {})[tail] = value
    return groups


def spread(items: Sequence[Any], most: int) -> list[Any]:
    """At most `most` of the items, evenly spaced, the last one kept."""
    if len(items) <= most:
        return list(items)
    return [items[round((i + 1) * len(items) / most) - 1] for i in range(most)]


def count(value: float) -> str:
    """12345678 -> '12.3 M'."""
    for size, unit in ((1e9, " B"), (1e6, " M"), (1e3, " k")):
        if value >= size:
            return f"{value / size:.3g}{unit}"
    return f"{value:.0f}"


def clock(time: float) -> str:
    """Unix seconds as local time to the second."""
    return datetime.datetime.fromtimestamp(time).isoformat(" ", "seconds")
