"""python -m benchmarks.scaling [POINT ...] [--write]: steps from 16 to 4,096 chips, on paper.

Two models on TPU v5p: weak scaling, a clip for every four chips, and strong, 256 clips. Each
point has the layout that `videogen plan` estimates to be the fastest with a GiB to spare, a
ring of keys only where heads do not suffice. Named points, as "wan2_1_t2v_14b 64 chips 16
clips", are compiled too (needs .venv-tpu) and appended to results/scaling.jsonl. --write:
docs/scaling.svg and the tables of docs/scaling.md.
"""

import dataclasses
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from benchmarks import aot, records
from benchmarks.aot import Case
from videogen import flagship
from videogen.cost.analytic.estimate import Estimate
from videogen.parallel.chips import find_slice
from videogen.planner import search
from videogen.planner.search import Problem

RESULTS = Path(__file__).parent / "results/scaling.jsonl"
DOCS = records.ROOT / "docs"
CHIPS = tuple(2**n for n in range(4, 13))
LARGEST = 2048  # chips of a slice; more are several
CHIPS_OF_A_CLIP, CLIPS = 4, 256  # weak, strong
SPARE_GIB = 1.0
MODELS: dict[str, tuple[str, ...]] = {
    "wan2_1_t2v_14b": (),
    "movie_gen_30b": ("stages=()", "model.position_sizes=(32,96,96)"),
}
HEADER = ["scaling", "chips", "clips", "layout", "Gcycles", "waits s", "step s", "MFU"]
HEADER += ["HBM GiB", "sent GB", "from"]


@dataclass(frozen=True, kw_only=True)
class Point:
    """A model's step on so many chips."""

    model: str
    chips: int
    clips: int

    @property
    def name(self) -> str:
        return f"{self.model} {self.chips} chips {self.clips} clips"

    @property
    def slices(self) -> int:
        return max(1, self.chips // LARGEST)


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Of one device."""

    layout: str
    giga_cycles: float
    wait_seconds: float
    step_seconds: float
    mfu: float
    hbm_gib: float
    sent_gb: float
    source: str  # "AOT" or "analytic"

    @property
    def cells(self) -> list[str]:
        numbers = self.giga_cycles, self.wait_seconds, self.step_seconds
        sizes = f"{self.hbm_gib:.1f}", f"{self.sent_gb:.1f}"
        times = (f"{x:.2f}" for x in numbers)
        return [self.layout, *times, f"{self.mfu:.1%}", *sizes, self.source]


# Rows of benchmarks.aot that are points here, in a layout that was chosen there.
SAME = {
    "wan2_1_t2v_14b 128 chips 32 clips": "wan2_1_t2v_14b v5p:4x4x8",
    "movie_gen_30b 512 chips 128 clips": "movie_gen_30b v5p:8x8x8",
}


def main(arguments: list[str]) -> None:
    """Compiles the named points, then prints all, or writes them."""
    names = [x for x in arguments if x != "--write"]
    every = [x for model in MODELS for found in series(model).values() for x in found]
    known = {point.name: point for point in every}
    for name in names:
        found = {"row": {"case": name}, **compile_point(known[name])}
        records.append(RESULTS, found)
    if "--write" in arguments:
        from benchmarks import scaling_plot

        (DOCS / "scaling.svg").write_text(scaling_plot.draw(MODELS))
    for model in MODELS:
        text = table(model)
        print(text)
        if "--write" in arguments:
            records.write_between(DOCS / "scaling.md", model, text)


def series(model: str) -> dict[str, list[Point]]:
    """The points of both kinds of scaling; they meet in one."""
    weak = [(chips, chips // CHIPS_OF_A_CLIP) for chips in CHIPS]
    strong = [(chips, CLIPS) for chips in CHIPS]
    return {
        name: [Point(model=model, chips=n, clips=clips) for n, clips in pairs]
        for name, pairs in (("weak", weak), ("strong", strong))
    }


@cache
def costs(point: Point) -> list[Cost]:
    """The estimate; after it what was compiled."""
    return [analytic(choose(point)), *compiled(point)]


@cache
def traced(model: str) -> Problem:
    """The step on any slice: it is traced once."""
    chip, topology = find_slice(f"v5p:{CHIPS[0]}")
    fields = [*MODELS[model], f"data.global_batch={CLIPS}"]
    settings, shape = flagship.read(f"configs/{model}.py", fields)
    return search.make_problem(settings, shape, chip, topology, {"mesh.tensor"})


@cache
def choose(point: Point) -> Estimate:
    """The fastest that fits, without a ring if any is."""
    whole = traced(point.model)
    data = dataclasses.replace(whole.settings.data, global_batch=point.clips)
    problem = dataclasses.replace(
        whole,
        settings=dataclasses.replace(whole.settings, data=data),
        step=dataclasses.replace(whole.step, global_batch=point.clips),
        topology=topology(point),
        slices=point.slices,
    )
    fits = [x for x in search.search(problem) if x.spare_gib >= SPARE_GIB]
    return next((x for x in fits if x.layout.ring == 1), fits[0])


def topology(point: Point) -> str:
    """Of one of its slices."""
    return find_slice(f"v5p:{point.chips // point.slices}")[1]


def compile_point(point: Point) -> dict[str, Any]:
    """Its layout, as `videogen aot` compiles it."""
    fields = *MODELS[point.model], f"data.global_batch={point.clips}"
    case = Case(
        config=f"configs/{point.model}.py",
        topology=topology(point),
        slices=point.slices,
        overrides=(*fields, *choose(point).layout.flags),
        goal=0.0,
    )
    return {"overrides": case.overrides, **aot.figures(case)}


def analytic(found: Estimate) -> Cost:
    compute = sum(found.compute.values())
    layout = found.layout
    return Cost(
        layout=describe(layout.axes, layout.remat, layout.microbatches),
        giga_cycles=compute * find_slice("v5p:16")[0].clock_hz / 1e9,
        wait_seconds=sum(found.waits.values()),
        step_seconds=found.step_seconds,
        mfu=found.mfu,
        hbm_gib=found.peak_gib,
        sent_gb=sum(found.sent.values()) / 1e9,
        source="analytic",
    )


def compiled(point: Point) -> Iterator[Cost]:
    """What the compiler said of it, if it was asked."""
    rows = {x["row"]["case"]: x for x in records.read(RESULTS).values()}
    others = {x["row"]["case"]: x for x in records.read(aot.RESULTS).values()}
    same = SAME.get(point.name, "")
    record = rows.get(point.name) or others.get(same)
    if record is None or "report" not in record:
        return
    overrides = record.get("overrides") or aot.CASES[same].overrides
    fields = dict(x.split("=", 1) for x in overrides)
    report = record["report"]
    parts = int(fields.get("optimizer.microbatches", 1))
    yield Cost(
        layout=describe(report["axes"], fields["model.remat"], parts),
        giga_cycles=report["cycles"] / 1e9,
        wait_seconds=record["exposed_seconds"],
        step_seconds=record["step_seconds"],
        mfu=record["mfu"],
        hbm_gib=report["peak_bytes"] / 2**30,
        sent_gb=record["collective_bytes"] / 1e9,
        source="AOT",
    )


def describe(axes: dict[str, int], remat: str, parts: int) -> str:
    """A layout, short."""
    mesh = " ".join(f"{axis}={size}" for axis, size in axes.items() if size > 1)
    return f"{mesh}, {remat}" + (f", {parts} parts" if parts > 1 else "")


def table(model: str) -> str:
    """All its points."""
    rows = [
        [name, f"{point.chips:,}", f"{point.clips:,}", *cost.cells]
        for name, points in series(model).items()
        for point in points
        for cost in costs(point)
    ]
    return records.markdown(HEADER, rows)


if __name__ == "__main__":
    main(sys.argv[1:])
