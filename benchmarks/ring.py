"""Rings of devices compiled ahead of time: what they send, and whether it hides.

    .venv-tpu/bin/python -m benchmarks.ring     # what is new, then the table

A transfer hides if its start stands before and its end after some kernel of ours in the
compiler's own schedule. Bytes are what all devices of one ring send, read in the program;
the formula is that of ops/attention/exchange.py.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import product
from math import prod
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from benchmarks import records
from videogen.cost import hlo
from videogen.cost.case import Case
from videogen.cost.compile import CompileError, environment
from videogen.ops.attention.exchange import make_ring, ring_bytes
from videogen.ops.attention.pallas_tpu import PallasTpuKernel
from videogen.ops.attention.partition import partitioned
from videogen.ops.attention.patterns import Pattern, Window, grid_coords
from videogen.parallel.chips import chip_of_kind

RESULTS = records.ROOT / "benchmarks/results/ring.jsonl"
SOURCES = (
    *("videogen/ops/attention/**/*.*", "videogen/parallel/chips.py"),
    *("videogen/cost/hlo.py", "videogen/cost/worker.py", "benchmarks/ring.py"),
)
PACKAGES = ("jax", "libtpu")
HEADER = ["devices", "ring", "attends", "forward hidden", "backward hidden"]
HEADER += ["MiB of a ring", "formula"]
MIB = 2**20
TOPOLOGIES = ("v5e:2x4", "v5p:2x2x2", "v6e:2x4", "tpu7x:2x2x1")
NUM_DEVICES = 8  # of each
HEADS, HEAD_DIM, TOKENS_PER_DEVICE = 2, 128, 8192
GRID_OF_FRAME = (32, 64)  # tokens; a device has four frames
SMALL = 20.0  # a bound on the logits under which the kernel needs no maximum
_SHAPE = re.compile(r"\(?(bf16|f32|s32)\[([\d,]*)\]")
_BYTES = {"bf16": 2, "f32": 4, "s32": 4}
_START = re.compile(r"collective-permute-done\([^%]*%?([\w.\-]+)")


@dataclass(frozen=True, kw_only=True)
class Transfer:
    """One collective-permute: bytes of all its pairs, kernels from its start to its end."""

    bytes: int
    kernels: int
    backward: bool  # of the gradients' pass


def case(devices: Any, ring: int, backward: bool, window: int | None = None) -> Case:
    """Self-attention over a ring; the devices that are left do the same for other rows.

    window: frames to either side that are attended; None: all tokens.
    """
    chip = chip_of_kind(devices[0].device_kind)
    assert chip is not None, devices[0]
    rows, tokens = len(devices) // ring, ring * TOKENS_PER_DEVICE
    mesh = Mesh(
        np.array(devices).reshape(rows, ring),
        ("fsdp", "context"),
        axis_types=(AxisType.Auto,) * 2,
    )
    attend = partial(
        partitioned,
        PallasTpuKernel(chip=chip.name),
        mesh,
        mask=_mask(window, tokens),
        scale=1.0,
        logit_bound=SMALL,
        ring=ring,
    )

    def gradients(do, *qkv):
        return jax.vjp(attend, *qkv)[1](do)

    def share(shape: tuple[int, ...], *spec: Any) -> jax.ShapeDtypeStruct:
        sharding = NamedSharding(mesh, PartitionSpec("fsdp", *spec))
        return jax.ShapeDtypeStruct(shape, jnp.bfloat16, sharding=sharding)

    q = share((rows, HEADS, HEAD_DIM, tokens), None, None, "context")
    k = share((rows, HEADS, tokens, HEAD_DIM), None, "context")
    return Case(
        function=gradients if backward else attend,
        args=(q,) * backward + (q, k, q),
    )


def formula(ring: int, backward: bool, window: int | None = None) -> int:
    """The bytes that one ring sends in this case."""
    place = np.arange(ring)
    reach = (
        ring
        if window is None
        else -(-window * prod(GRID_OF_FRAME) // TOKENS_PER_DEVICE)
    )
    live = abs(place[:, None] - place) <= reach
    elements = HEADS * TOKENS_PER_DEVICE * HEAD_DIM
    ahead, back = ring_bytes(make_ring("context", ring, live=live), 2 * elements, 2)
    return ahead + back if backward else ahead


def compile_text(topology: str, **arguments: Any) -> str:
    """The compiled module of `case`. CompileError with the compiler's reason."""
    with tempfile.TemporaryDirectory(prefix="videogen-ring-") as name:
        command = [sys.executable, "-m", "videogen.cost.worker", "benchmarks.ring:case"]
        command += [topology, json.dumps(arguments), name]
        done = subprocess.run(
            command,
            env=environment(Path(name)) | {"LIBTPU_INIT_ARGS": ""},  # no dump: faster
            capture_output=True,
            text=True,
            timeout=1500,
        )
        module = Path(name) / "module.txt"
        if not module.exists():
            raise CompileError(done.stderr[-2000:])
        return module.read_text()


def transfers(text: str) -> Iterator[Transfer]:
    """Every collective-permute of a compiled module; a synchronous one meets no kernel."""
    module = hlo.parse_module(text)
    for body in module.computations.values():
        kernels, started = 0, {}
        for instruction in body:
            if _runs_kernel(module, instruction):
                kernels += 1
            elif instruction.opcode == "collective-permute":
                yield _transfer(instruction, 0)
            elif instruction.opcode == "collective-permute-start":
                started[instruction.name] = kernels, instruction
            elif instruction.opcode == "collective-permute-done":
                found = _START.search(instruction.text)
                assert found is not None, instruction
                before, start = started.pop(found[1])
                yield _transfer(start, kernels - before)
        assert not started, started


def _runs_kernel(module: hlo.Module, instruction: hlo.Instruction) -> bool:
    branches = instruction.branches() if instruction.opcode == "conditional" else []
    bodies = [module.computations[name] for name in branches]
    return instruction.is_kernel or any(x.is_kernel for body in bodies for x in body)


def _transfer(start: hlo.Instruction, kernels: int) -> Transfer:
    backward = "transpose(" in start.op_name
    return Transfer(bytes=_bytes(start), kernels=kernels, backward=backward)


def _bytes(instruction: hlo.Instruction) -> int:
    shape = _SHAPE.match(instruction.text)
    pairs = instruction.text.partition("source_target_pairs={{")[2].partition("}}")[0]
    assert shape and pairs, instruction
    size = _BYTES[shape[1]] * prod(int(n) for n in shape[2].split(",") if n)
    return size * len(pairs.split("},{"))


def _mask(window: int | None, tokens: int):
    if window is None:
        return None
    coords = grid_coords((tokens // prod(GRID_OF_FRAME), *GRID_OF_FRAME))
    pattern: Pattern = Window(frames=window)
    return pattern.mask(coords, coords)


def figures(case: dict[str, Any]) -> records.Record:
    """Of one case: (hidden, all) transfers of both passes; MiB sent, and of the formula."""
    found = list(transfers(compile_text(backward=True, **case)))
    rings = NUM_DEVICES // case["ring"]
    counts = {}
    for name, backward in (("forward", False), ("backward", True)):
        own = [x for x in found if x.backward == backward]
        counts[name] = [sum(x.kernels > 0 for x in own), len(own)]
    sent = formula(case["ring"], True, case["window"])
    return counts | {
        "mib": sum(x.bytes for x in found) / rings / MIB,
        "formula_mib": sent / MIB,
    }


def cases() -> list[dict[str, Any]]:
    """Rings of four and of eight; every frame attends all, or four to either side."""
    sizes = product(TOPOLOGIES, (4, 8), (None, 4))
    return [{"topology": t, "ring": r, "window": w} for t, r, w in sizes]


def table(found: Mapping[str, records.Record]) -> str:
    """A row for each case that was measured."""
    lines = []
    for one in (found[x] for x in map(records.key, cases()) if x in found):
        case, (ahead, back) = one["row"], (one["forward"], one["backward"])
        attended = "all" if case["window"] is None else f"{case['window']} frames"
        counts = [f"{hidden} of {number}" for hidden, number in (ahead, back)]
        sizes = [f"{one[name]:.0f}" for name in ("mib", "formula_mib")]
        lines.append([case["topology"], str(case["ring"]), attended, *counts, *sizes])
    return records.markdown(HEADER, lines)


def holds(one: records.Record) -> bool:
    """All transfers hide, and not a byte more is sent than the formula says."""
    hidden = all(x == y for x, y in (one["forward"], one["backward"]))
    return hidden and one["mib"] == one["formula_mib"]


def main(argv: list[str] | None = None) -> int:
    """Measures and prints; 1 when a transfer is waited for, bytes differ, or a row lacks."""
    parser = argparse.ArgumentParser(prog="benchmarks.ring", description=__doc__)
    parser.add_argument("--table", action="store_true", help="measure nothing")
    parser.add_argument("--write-readme", action="store_true")
    options = parser.parse_args(argv)
    known, source = records.read(RESULTS), records.source_hash(SOURCES, PACKAGES)
    missing = [
        case
        for case in cases()
        if known.get(records.key(case), {}).get("source") != source
    ]
    for case in [] if options.table else missing:
        record = {"row": case, "source": source, **figures(case)}
        records.append(RESULTS, record)
        print(record, flush=True)
    found = records.read(RESULTS)
    text = table(found)
    print(text)
    if options.write_readme:
        records.compact(RESULTS)
        records.write_between(records.ROOT / "README.md", "ring", text)
    return int(len(found) < len(cases()) or not all(map(holds, found.values())))


if __name__ == "__main__":
    sys.exit(main())
