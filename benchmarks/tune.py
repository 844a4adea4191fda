"""Searches block sizes of the attention kernels and writes their table.

    .venv-tpu/bin/python -m benchmarks.tune --chip=v5e,v5p,v6e,tpu7x --head-dim=64,128

Every candidate is compiled for the chip, which need not be there, and costed from its final
schedule (videogen.cost); the fewest cycles per pair of tokens win. Sizes that the compiler
refuses, mostly for lack of VMEM, drop out. The cycles of a step do not depend on the number
of tokens, so one number of tokens stands for all long sequences.
"""

import argparse
import json
import sys
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from benchmarks.records import ROOT
from videogen.cost.case import Case
from videogen.cost.compile import CompileError, measure
from videogen.cost.schedule import Shares
from videogen.ops.attention.pallas_tpu import Blocks, PallasTpuKernel
from videogen.parallel.chips import chip_of_kind

TABLE = ROOT / "videogen/ops/attention/pallas_tpu/tuning.json"
TOKENS, HEADS = 32_768, 2
LN_2 = 0.6931471805599453
CANDIDATES = {
    "forward": ((1024, 2048, 4096), (2048, 4096, 8192), (256, 512)),
    "backward": ((256, 512, 1024), (2048, 4096, 8192), (256, 512)),
}


def case(devices: Any, kind: str, E: int, q: int, kv: int, step: int) -> Case:
    """One kernel alone; every pair of blocks is full."""
    chip = chip_of_kind(devices[0].device_kind)
    assert chip is not None, devices[0]
    blocks = Blocks(q=q, kv=kv, step=step)
    sizes = {"forward_blocks": blocks, "backward_blocks": blocks}
    kernel = PallasTpuKernel(chip=chip.name, mode="none", **sizes)
    column = jax.ShapeDtypeStruct((1, HEADS, E, TOKENS), jnp.bfloat16)
    row = jax.ShapeDtypeStruct((1, HEADS, TOKENS, E), jnp.bfloat16)
    sums = jax.ShapeDtypeStruct((1, HEADS, TOKENS), jnp.float32)
    by_q, by_kv = q / TOKENS, kv / TOKENS  # shares of first and last steps
    if kind == "forward":
        return Case(
            function=lambda *qkv: kernel.forward(
                *qkv, None, None, scale=LN_2, dtype=jnp.bfloat16
            ),
            args=(column, row, column),
            shares={"attention_forward": Shares(cold=(by_kv, by_kv))},
        )
    return Case(
        function=lambda q, k, v, *rows: kernel.backward(
            q, k, v, None, *rows, scale=LN_2, dtype=jnp.bfloat16
        ),
        args=(column, row, column, column, sums, sums),
        shares={"attention_backward": Shares(cold=(by_q, by_kv, by_q, by_kv))},
    )


def search(chip: str, head_dim: int, kind: str) -> tuple[list[int], float]:
    """The best (q, kv, step), and its million cycles a head at TOKENS tokens."""
    costs = {}
    for sizes in product(*CANDIDATES[kind]):
        named = dict(zip(("q", "kv", "step"), sizes, strict=True))
        try:
            report = measure(
                "benchmarks.tune:case", chip, kind=kind, E=head_dim, **named
            )
        except CompileError as reason:
            print(chip, head_dim, kind, sizes, f"refused: {reason}"[:120], flush=True)
            continue
        costs[sizes] = report.kernel_cycles / HEADS / 1e6
        print(chip, head_dim, kind, sizes, f"{costs[sizes]:.4f}", flush=True)
    best = min(costs, key=lambda sizes: costs[sizes])
    return list(best), round(costs[best], 4)


def rows(chips: list[str], head_dims: list[int]) -> Iterator[dict[str, Any]]:
    """New rows of the table."""
    for chip, head_dim in product(chips, head_dims):
        found = {kind: search(chip, head_dim, kind) for kind in CANDIDATES}
        yield {
            "chip": chip,
            "head_dim": head_dim,
            "tokens": TOKENS,
            **{kind: sizes for kind, (sizes, _) in found.items()},
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


def main() -> int:
    parser = argparse.ArgumentParser(prog="benchmarks.tune", description=__doc__)
    parser.add_argument("--chip", default="v5e,v5p,v6e,tpu7x")
    parser.add_argument("--head-dim", default="64,128")
    asked = parser.parse_args()
    for row in rows(asked.chip.split(","), [int(x) for x in asked.head_dim.split(",")]):
        write(TABLE, row)
    return 0


if __name__ == "__main__":
    sys.exit(main())
