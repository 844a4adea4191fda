"""Searches block sizes of the attention kernels and writes their table.

    .venv-tpu/bin/python -m benchmarks.tune --chip=v5e,v5p,v6e,tpu7x --head-dim=64,128

Candidates are compiled for the chip, which need not be there, and costed from their final
schedules (videogen.cost); the fewest cycles per pair of tokens win. Sizes that the compiler
refuses, mostly for lack of VMEM, drop out. The cycles of a step do not depend on the number
of tokens, so one number of tokens stands for all long sequences. Masks are not searched here:
their blocks follow from their lists, by the costs that stand in `tuning.py`.
"""

import argparse
import functools
import json
import math
import sys
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from benchmarks.records import ROOT
from videogen.core.errors import ConfigError
from videogen.cost.case import Case
from videogen.cost.compile import CompileError, measure
from videogen.ops.attention.pallas_tpu import Blocks, PallasTpuKernel, tuning
from videogen.parallel.chips import chip_of_kind, find_chip

TABLE = ROOT / "videogen/ops/attention/pallas_tpu/tuning.json"
TOKENS, HEADS = 32_768, 2
LN_2 = 0.6931471805599453
Sizes = tuple[int, int, int]
QUERIES, KEYS, STEPS = (
    (256, 512, 1024, 2048, 4096),
    (1024, 2048, 4096, 8192),
    (256, 512),
)
KINDS = (*tuning.MODES, "backward")


def case(devices: Any, kind: str, E: int, q: int, kv: int, step: int) -> Case:
    """One kernel alone, every pair of blocks full; `kind` is a mode or "backward"."""
    chip = chip_of_kind(devices[0].device_kind)
    assert chip is not None, devices[0]
    blocks = Blocks(q=q, kv=kv, step=step)
    sizes = {"forward_blocks": blocks, "backward_blocks": blocks}
    mode: Any = None if kind == "backward" else kind
    kernel = PallasTpuKernel(chip=chip.name, mode=mode, **sizes)
    column = jax.ShapeDtypeStruct((1, HEADS, E, TOKENS), jnp.bfloat16)
    row = jax.ShapeDtypeStruct((1, HEADS, TOKENS, E), jnp.bfloat16)
    sums = jax.ShapeDtypeStruct((1, HEADS, TOKENS), jnp.float32)
    if kind != "backward":
        return Case(
            function=lambda *qkv: kernel.forward(
                *qkv, None, None, scale=LN_2, dtype=jnp.bfloat16
            ),
            args=(column, row, column),
        )
    return Case(
        function=lambda q, k, v, *rows: kernel.backward(
            q, k, v, None, *rows, scale=LN_2, dtype=jnp.bfloat16
        ),
        args=(column, row, column, column, sums, sums),
    )


def search(chip: str, head_dim: int, kind: str) -> tuple[Sizes, float]:
    """The best (q, kv, step), and its million cycles a head at TOKENS tokens.

    Descends from the table's nearest row, one size at a time, until no neighbour is better.
    """
    cost = functools.cache(functools.partial(measured, chip, head_dim, kind))
    row = tuning.nearest(find_chip(chip), head_dim, TOKENS)
    start = row.backward if kind == "backward" else row.forward[kind]
    best = start.q, start.kv, start.step
    while True:
        better = min(neighbours(best), key=cost)
        if cost(better) >= cost(best):
            break
        best = better
    if math.isinf(cost(best)):
        raise CompileError(
            f"{chip} E={head_dim} {kind}: {best} and all near are refused"
        )
    return best, round(cost(best), 4)


def neighbours(sizes: Sizes) -> list[Sizes]:
    """One size a step up or down, the others as they are; no step longer than the block."""
    found = []
    for place, choices in enumerate((QUERIES, KEYS, STEPS)):
        at = choices.index(sizes[place])
        for other in choices[max(0, at - 1) : at + 2]:
            found.append((*sizes[:place], other, *sizes[place + 1 :]))
    return [x for x in found if x != sizes and x[0] * x[1] <= tuning.PAIRS_PER_STEP * 2]


def measured(chip: str, head_dim: int, kind: str, sizes: Sizes) -> float:
    """Million cycles a head; infinite where the compiler refuses, mostly for VMEM."""
    named = dict(zip(("q", "kv", "step"), sizes, strict=True))
    try:
        report = measure("benchmarks.tune:case", chip, kind=kind, E=head_dim, **named)
    except CompileError as reason:
        print(chip, head_dim, kind, sizes, f"refused: {reason}"[:120], flush=True)
        return math.inf
    cycles = report.kernel_cycles / HEADS / 1e6
    print(chip, head_dim, kind, sizes, f"{cycles:.4f}", flush=True)
    return cycles


def rows(chips: list[str], head_dims: list[int]) -> Iterator[dict[str, Any]]:
    """New rows of the table."""
    for chip, head_dim in product(chips, head_dims):
        found = {kind: search(chip, head_dim, kind) for kind in KINDS}
        yield {
            "chip": chip,
            "head_dim": head_dim,
            "tokens": TOKENS,
            **{kind: list(sizes) for kind, (sizes, _) in found.items()},
            "mcycles": [cost for _, cost in found.values()],
        }


def write(path: Path, new: dict[str, Any]) -> None:
    """Puts a row into the table, in the place of one for the same case."""
    names = ("chip", "head_dim", "tokens")
    table = json.loads(path.read_text())["rows"]
    table = [row for row in table if any(row[name] != new[name] for name in names)]
    table = sorted([*table, new], key=lambda row: [str(row[name]) for name in names])
    lines = ",\n".join(json.dumps(row) for row in table)
    path.write_text('{"rows": [\n' + lines + "\n]}\n")


def main(argv: list[str] | None = None) -> int:
    """Searches and writes; 43 for a chip that is not known or has no sizes that compile."""
    parser = argparse.ArgumentParser(prog="benchmarks.tune", description=__doc__)
    parser.add_argument("--chip", default="v5e,v5p,v6e,tpu7x")
    parser.add_argument("--head-dim", default="64,128")
    asked = parser.parse_args(argv)
    chips, head_dims = asked.chip.split(","), asked.head_dim.split(",")
    try:
        for name in chips:  # before any search
            find_chip(name)
        for row in rows(chips, [int(x) for x in head_dims]):
            write(TABLE, row)
    except (CompileError, ConfigError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 43  # as of every door
    return 0


if __name__ == "__main__":
    sys.exit(main())
