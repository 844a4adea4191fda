"""python -m benchmarks.aot [NAME ...]: predicted MFU of training steps on pods not there.

Compiles each case as `videogen aot` does, appends what it finds to results/aot.jsonl, and
writes the README's table; without arguments, of what was measured before. Needs .venv-tpu.
"""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import records
from videogen.cost.compile import CompileError, measure
from videogen.cost.refusal import parse
from videogen.forecast import GIB, Forecast
from videogen.parallel.chips import find_topology

RESULTS = Path(__file__).parent / "results/aot.jsonl"
# Gathers beside compute: on v5e they are by default, on v5p and v6e if asked for.
ASYNC = (
    "xla_enable_async_all_gather=true",
    "xla_tpu_enable_async_collective_fusion=true",
    "xla_tpu_enable_async_collective_fusion_fuse_all_gather=true",
)
# So do swaps of heads for tokens.
SWAPS = (
    "xla_tpu_enable_async_all_to_all=true",
    "xla_max_concurrent_async_all_gathers=4",
)
# What the SparseCores of v6e and tpu7x send beside compute; tpu7x's all but swaps unasked.
OFFLOAD = "xla_tpu_enable_sparse_core_collective_offload_{}=true"
OFFLOADED_SWAPS = (*SWAPS, OFFLOAD.format("dense_all_to_all"))
OFFLOADED_WEIGHTS = (OFFLOAD.format("all_gather"), OFFLOAD.format("reduce_scatter"))
# Nearly full memory: XLA counts more than the program takes, and would run products again.
FULL = (
    "xla_jf_rematerialization_percent_shared_memory_limit=110",
    "xla_tpu_scheduler_percent_shared_memory_limit=110",
)
# VMEM that one operation of XLA may take: larger tiles of products, read less often.
TILES = "xla_tpu_scoped_vmem_limit_kib={}"
SHOWN = 6  # collectives that are kept of a record, the most exposed first
HEADER = ["case", "step s", "MFU", "goal", "exposed s", "peak GiB", "spare", "CPU s"]


@dataclass(frozen=True, kw_only=True)
class Case:
    """goal: MFU with the exposed communication counted; 0: none is set."""

    config: str
    topology: str
    overrides: tuple[str, ...]
    goal: float = 0.0
    slices: int = 1


WAN_14B, MOVIE_GEN = "configs/wan2_1_t2v_14b.py", "configs/movie_gen_30b.py"
CASES: dict[str, Case] = {
    "dit_xl_2 v5e:4x4": Case(
        config="configs/dit_xl_2.py",
        topology="v5e:4x4",
        overrides=(
            *("data.global_batch=4096", "model.remat=dots"),
            *("optimizer.microbatches=4", f"mesh.xla={ASYNC}"),
            *("mesh.replica=2", "mesh.fsdp=8"),
        ),
        goal=0.45,
    ),
    "latte_xl_2 v5e:4x4": Case(
        config="configs/latte_xl_2.py",
        topology="v5e:4x4",
        overrides=(
            # Its file asks for float32, as published on GPUs with TF32; DiT's does not.
            *("data.global_batch=256", "model.dtype=bfloat16"),
            *("model.remat=dots", "optimizer.microbatches=4"),
            *("mesh.replica=2", "mesh.fsdp=8"),
        ),
        goal=0.45,
    ),
    "wan2_1_t2v_1_3b v5e:4x4": Case(
        config="configs/wan2_1_t2v_1_3b.py",
        topology="v5e:4x4",
        overrides=("data.global_batch=16",),
        goal=0.64,
    ),
    "wan2_1_t2v_1_3b v6e:4x4": Case(
        config="configs/wan2_1_t2v_1_3b.py",
        topology="v6e:4x4",
        overrides=("data.global_batch=16", f"mesh.xla={ASYNC}"),
        goal=0.41,
    ),
    "wan2_1_t2v_14b v5p:2x2x1": Case(
        config=WAN_14B,
        topology="v5p:2x2x1",
        overrides=(
            *("mesh.fsdp=1", "mesh.context=4", "data.global_batch=1"),
            "model.remat=self_attention",
            f"mesh.xla={(*FULL, *ASYNC, *SWAPS)}",
        ),
        goal=0.66,
    ),
    "wan2_1_t2v_14b v5p:4x4x8": Case(
        config=WAN_14B,
        topology="v5p:4x4x8",
        overrides=(
            *("mesh.fsdp=32", "mesh.context=4", "data.global_batch=32"),
            *("model.remat=attention,dots", f"mesh.xla={(*FULL, *ASYNC, *SWAPS)}"),
        ),
        goal=0.65,
    ),
    "wan2_1_t2v_14b v6e:8x8": Case(
        config=WAN_14B,
        topology="v6e:8x8",
        overrides=(
            # A clip a row of the mesh: of two, XLA lays clips between tokens and features.
            *("mesh.fsdp=16", "mesh.context=4", "data.global_batch=16"),
            "model.remat=self_attention",
            f"mesh.xla={(*FULL, *SWAPS, *OFFLOADED_WEIGHTS, TILES.format(48 * 1024))}",
        ),
        goal=0.44,
    ),
    "wan2_1_t2v_14b tpu7x:4x4x4": Case(
        config=WAN_14B,
        topology="tpu7x:4x4x4",
        overrides=(
            *("mesh.fsdp=32", "mesh.context=4", "data.global_batch=32"),
            "model.remat=attention,dots",
            f"mesh.xla={(*FULL, *ASYNC, *OFFLOADED_SWAPS)}",
        ),
        goal=0.48,
    ),
    "hunyuan_video v5p:8x8x8": Case(
        config="configs/hunyuan_video.py",
        topology="v5p:8x8x8",
        overrides=(
            *("mesh.fsdp=64", "mesh.context=8", "data.global_batch=64"),
            *("model.remat=dots", f"mesh.xla={(*FULL, *ASYNC, *SWAPS)}"),
        ),
        goal=0.64,
    ),
    "movie_gen_30b v5p:8x8x8": Case(
        config=MOVIE_GEN,
        topology="v5p:8x8x8",
        overrides=(
            *("stages=()", "model.position_sizes=(32,96,96)"),
            *("mesh.fsdp=64", "mesh.context=8", "data.global_batch=128"),
            *("model.remat=dots", "optimizer.microbatches=2"),
            f"mesh.xla={(*FULL, *ASYNC, *SWAPS)}",
        ),
        goal=0.64,
    ),
}


def main(names: list[str]) -> None:
    """Measures the named cases, then prints all that were."""
    for name in names:
        records.append(RESULTS, {"row": {"case": name}, **figures(CASES[name])})
    found = records.read(RESULTS).values()
    table = records.markdown(HEADER, [line(record) for record in found])
    records.write_between(records.ROOT / "README.md", "aot", table)
    print(table)


def figures(case: Case) -> dict[str, Any]:
    """What the compiler says, or by how much it refuses."""
    try:
        report = measure(
            "videogen.flagship:step_case",
            find_topology(case.topology).name,
            topology=case.topology,
            slices=case.slices,
            timeout=3600.0,
            config=case.config,
            overrides=list(case.overrides),
        )
    except CompileError as error:
        refused = parse(str(error))
        if refused is None:
            raise
        return {"excess_gib": refused.excess}
    return kept(Forecast(chip=find_topology(case.topology), report=report))


def kept(forecast: Forecast) -> dict[str, Any]:
    """What of it goes into a file of results."""
    record = forecast.record()
    del record["report"]["kernels"]
    record["report"]["traffic"] = record["report"]["traffic"][:SHOWN]
    return record


def line(record: dict[str, Any]) -> list[str]:
    """One row of the table."""
    name = record["row"]["case"]
    goal = f"{CASES[name].goal:.0%}"
    if "excess_gib" in record:
        return [name, f"{record['excess_gib']:.2f} GiB too large", "-", goal, *"----"]
    report = record["report"]
    return [
        name,
        f"{record['step_seconds']:.3f}",
        f"{record['mfu']:.1%}",
        goal,
        f"{record['exposed_seconds']:.3f}",
        f"{report['peak_bytes'] / GIB:.2f}",
        f"{record['spare_gib']:.2f}",
        f"{report['compile_cpu_seconds']:.0f}",
    ]


if __name__ == "__main__":
    main(sys.argv[1:])
