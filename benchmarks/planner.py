"""python -m benchmarks.planner [NAME ...]: how far `videogen plan` is from compiled steps.

Compiles each named case as `videogen aot` does, appends what it finds to
results/planner.jsonl, and writes the README's table of all that were compiled, those of
benchmarks.aot among them: to two of these the rates of videogen/cost/analytic/rates.py were
fitted, and what the terms are was decided with three more in sight, Wan 1.3B on v6e:4x4, 14B
on v5p:2x2x1 and, of memory, on v5p:4x4x8; the others came later. The estimates need no
compiler; cases need .venv-tpu.
"""

import sys
from pathlib import Path
from typing import Any

from benchmarks import aot, records
from benchmarks.aot import Case
from videogen import flagship
from videogen.cost.analytic.estimate import GIB, Estimate
from videogen.parallel.chips import find_slice
from videogen.parallel.mesh import AXES
from videogen.planner import search

RESULTS = Path(__file__).parent / "results/planner.jsonl"
HEADER = ["case", "fitted", "step s", "estimate", "off", "peak GiB", "estimate", "off"]
PINNED = {*(f"mesh.{axis}" for axis in AXES), "model.remat", "optimizer.microbatches"}


def case(config: str, topology: str, *overrides: str) -> Case:
    return Case(config=f"configs/{config}.py", topology=topology, overrides=overrides)


FITTED = {
    *("dit_xl_2 v5e:4x4", "wan2_1_t2v_1_3b v5e:4x4"),
    *("dit_xl_2 v6e:2x2, dots", "dit_xl_2 v5e:2x2, full, 2 parts"),
}
CASES: dict[str, Case] = {
    "wan2_1_t2v_1_3b v5e:2x2, context 4": case(
        *("wan2_1_t2v_1_3b", "v5e:2x2", "data.global_batch=1", "mesh.context=4"),
        "mesh.fsdp=1",
    ),
    "dit_xl_2 v6e:2x2, dots": case(
        *("dit_xl_2", "v6e:2x2", "data.global_batch=256", "model.remat=dots"),
    ),
    "dit_xl_2 v5e:2x2, full, 2 parts": case(
        *("dit_xl_2", "v5e:2x2", "data.global_batch=512", "model.remat=full"),
        "optimizer.microbatches=2",
    ),
    "wan2_1_t2v_1_3b v5p:2x2x1, full": case(
        *("wan2_1_t2v_1_3b", "v5p:2x2x1", "data.global_batch=4", "model.remat=full"),
    ),
    "ltx_video_2b v6e:2x2": case("ltx_video_2b", "v6e:2x2", "data.global_batch=4"),
}


def main(names: list[str]) -> None:
    """Compiles the named cases, then compares all that were."""
    for name in names:
        found = {"row": {"case": name}, **aot.figures(CASES[name])}
        records.append(RESULTS, found)
    table = records.markdown(HEADER, [line(*pair) for pair in compiled()])
    records.write_between(records.ROOT / "README.md", "planner", table)
    print(table)


def compiled() -> list[tuple[str, dict[str, Any]]]:
    """(name, record) of the cases of benchmarks.aot, then of the others."""
    found = [*records.read(aot.RESULTS).values(), *records.read(RESULTS).values()]
    return [(record["row"]["case"], record) for record in found]


def estimate(name: str) -> Estimate:
    """Of a case by its name."""
    case = {**aot.CASES, **CASES}[name]
    settings, shape = flagship.read(case.config, case.overrides)
    chip, topology = find_slice(case.topology)
    problem = search.make_problem(settings, shape, chip, topology, PINNED)
    sizes = settings.mesh.sizes(problem.num_devices)
    (found,) = search.on_mesh(problem, dict(zip(AXES, sizes, strict=True)))
    return found


def errors(record: dict[str, Any], found: Estimate) -> tuple[float, float]:
    """Of the step time and of the peak: estimate / compiled - 1."""
    peak = record["report"]["peak_bytes"] / GIB
    return (
        found.step_seconds / record["step_seconds"] - 1,
        found.peak_gib / peak - 1,
    )


def line(name: str, record: dict[str, Any]) -> list[str]:
    """One row of the table."""
    found = estimate(name)
    fitted = "yes" if name in FITTED else "no"
    if "excess_gib" in record:
        needed = found.allowed_gib + record["excess_gib"]
        off = found.peak_gib / needed - 1
        seconds = ["-", f"{found.step_seconds:.3f}", "-"]
        return [name, fitted, *seconds, *_peak(needed, found, off)]
    seconds_off, peak_off = errors(record, found)
    seconds = [f"{record['step_seconds']:.3f}", f"{found.step_seconds:.3f}"]
    peak = _peak(record["report"]["peak_bytes"] / GIB, found, peak_off)
    return [name, fitted, *seconds, f"{seconds_off:+.1%}", *peak]


def _peak(gib: float, found: Estimate, off: float) -> list[str]:
    return [f"{gib:.2f}", f"{found.peak_gib:.2f}", f"{off:+.1%}"]


if __name__ == "__main__":
    main(sys.argv[1:])
