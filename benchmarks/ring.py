"""Rings of devices compiled ahead of time: what they send, and whether it hides.

    .venv-tpu/bin/python -m benchmarks.ring

A transfer hides if its start stands before and its end after some kernel of ours in the
compiler's own schedule. Bytes are what all devices of one ring send, read in the program;
the formula is that of ops/attention/exchange.py. Prints a table, appends a line of JSON
per row to benchmarks/results/ring.jsonl.
"""

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from math import prod
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from videogen.cost import hlo
from videogen.cost.case import Case
from videogen.cost.compile import CompileError, environment
from videogen.ops.attention.exchange import make_ring, ring_bytes
from videogen.ops.attention.pallas_tpu import PallasTpuKernel
from videogen.ops.attention.partition import partitioned
from videogen.ops.attention.patterns import Pattern, Window, grid_coords
from videogen.parallel.chips import chip_of_kind

RESULTS = Path(__file__).parent / "results" / "ring.jsonl"
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
            timeout=600,
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
                yield Transfer(bytes=_bytes(instruction), kernels=0)
            elif instruction.opcode == "collective-permute-start":
                started[instruction.name] = kernels, _bytes(instruction)
            elif instruction.opcode == "collective-permute-done":
                found = _START.search(instruction.text)
                assert found is not None, instruction
                before, size = started.pop(found[1])
                yield Transfer(bytes=size, kernels=kernels - before)
        assert not started, started


def _runs_kernel(module: hlo.Module, instruction: hlo.Instruction) -> bool:
    branches = instruction.branches() if instruction.opcode == "conditional" else []
    bodies = [module.computations[name] for name in branches]
    return instruction.is_kernel or any(x.is_kernel for body in bodies for x in body)


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


def row(topology: str, **arguments: Any) -> dict[str, Any]:
    """One line of the table."""
    found = list(transfers(compile_text(topology, **arguments)))
    rings = NUM_DEVICES // arguments["ring"]
    return {
        "topology": topology,
        **arguments,
        "transfers": len(found),
        "hidden": sum(x.kernels > 0 for x in found),
        "MiB": sum(x.bytes for x in found) / rings / 2**20,
        "formula MiB": formula(**arguments) / 2**20,
    }


def main() -> None:
    RESULTS.parent.mkdir(exist_ok=True)
    for topology in TOPOLOGIES:
        for ring in (4, 8):
            for window in (None, 4):
                fields = row(topology, ring=ring, backward=True, window=window)
                print(" | ".join(str(x) for x in fields.values()), flush=True)
                with RESULTS.open("a") as out:
                    out.write(json.dumps(fields) + "\n")


if __name__ == "__main__":
    main()
