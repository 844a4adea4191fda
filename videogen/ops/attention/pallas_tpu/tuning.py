"""Block sizes: a table that was searched, and what to do off the table.

`tuning.json` holds, per (chip, head dim, tokens), the sizes of the forward and the backward
kernel with the fewest cycles in the compiler's final schedules; `benchmarks/tune.py` writes
it. Off the table the nearest row stands in: the chip's own, then the nearest head dim, then
the nearest number of tokens, in ratio. Sizes are then cut to what the tokens need and to
what VMEM holds.

With a mask known while tracing there is more to gain than a table can hold: small blocks
visit fewer pairs of tokens that are not attended, large ones waste less at their ends. The
lists are cheap to build, so they are built for every candidate and the cheapest is taken,
by the cost of a step measured in the schedules: proportional to its pairs, and a fixed part
worth STEP_PAIRS pairs.
"""

import functools
import json
import math
from dataclasses import dataclass
from importlib import resources
from itertools import product
from typing import Any

from videogen.ops.attention import steps
from videogen.ops.attention.mask import Mask
from videogen.ops.attention.pallas_tpu.blocks import Blocks, round_up
from videogen.parallel.chips import Chip

MIB = 2**20
# What a step costs beyond its pairs of tokens, and looking at tokens, in pairs of tokens.
STEP_PAIRS = 400_000
MASKED_COST = 1.3
QUERIES, KEYS = (512, 1024, 2048), (512, 1024, 2048, 4096)
RESERVED = 2 * MIB  # of VMEM, for the compiler's own use


@dataclass(frozen=True, kw_only=True)
class Tuned:
    """One row of the table."""

    chip: str
    head_dim: int
    tokens: int
    forward: Blocks
    backward: Blocks


def nearest(chip: Chip, head_dim: int, tokens: int) -> Tuned:
    """The row of the table that is closest; any chip's if this one has none."""

    def distance(row: Tuned):
        return (
            row.chip != chip.name,
            abs(math.log(row.head_dim / head_dim)),
            abs(math.log(row.tokens / tokens)),
        )

    return min(table(), key=distance)


def forward_blocks(
    chip: Chip, head_dim: int, N: int, S: int, mask: Mask | None
) -> Blocks:
    """Sizes for the forward kernel."""
    if mask is not None and mask.is_static:
        return _cheapest(steps.forward_steps, mask, N, S).fit(N, S)
    return nearest(chip, head_dim, S).forward.fit(N, S)


def backward_blocks(
    chip: Chip, head_dim: int, N: int, S: int, mask: Mask | None
) -> Blocks:
    """Sizes for the backward kernel; key blocks as large as VMEM holds beside dq."""
    if mask is not None and mask.is_static:
        blocks = _cheapest(steps.backward_steps, mask, N, S)
    else:
        blocks = nearest(chip, head_dim, S).backward
    blocks = blocks.fit(N, S)
    while queries_in_vmem(chip, head_dim, blocks) < N and blocks.kv >= 8192:
        blocks = Blocks(q=blocks.q, kv=blocks.kv // 2, step=blocks.step)
    return blocks


def queries_in_vmem(chip: Chip, head_dim: int, blocks: Blocks) -> int:
    """How many queries' dq stay in VMEM beside all else: a multiple of the block."""
    rows = round_up(head_dim, 16)
    keys = rows * blocks.kv * (2 * 2 * 2 + 2 * 2 * 4 + 2 * 4 + 2 * 2)
    queries = rows * blocks.q * (2 * 2 * 2 + 2 * 4 + 2 * 4)
    tiles = 8 * blocks.step * blocks.q * 4  # scores in flight, and what spills
    left = chip.vmem_bytes - RESERVED - keys - queries - tiles
    return max(1, left // (rows * 4 * blocks.q)) * blocks.q


@functools.cache
def table() -> tuple[Tuned, ...]:
    """All rows of tuning.json."""
    text = (
        resources.files("videogen.ops.attention.pallas_tpu")
        .joinpath("tuning.json")
        .read_text()
    )
    return tuple(_row(row) for row in json.loads(text)["rows"])


def _row(row: dict[str, Any]) -> Tuned:
    forward, backward = (
        Blocks(**dict(zip(("q", "kv", "step"), row[name], strict=True)))
        for name in ("forward", "backward")
    )
    return Tuned(
        chip=row["chip"],
        head_dim=row["head_dim"],
        tokens=row["tokens"],
        forward=forward,
        backward=backward,
    )


def _cheapest(make_steps: Any, mask: Mask, N: int, S: int) -> Blocks:
    """The candidate whose list of steps costs least."""

    def cost(blocks: Blocks) -> float:
        flags = make_steps(mask, N, S, blocks.q, blocks.kv).flags
        live, masked = ((flags & bit != 0).sum() for bit in (steps.LIVE, steps.MASKED))
        pairs = live + (MASKED_COST - 1) * masked
        return pairs * blocks.q * blocks.kv + STEP_PAIRS * flags.size

    candidates = [Blocks(q=q, kv=kv, step=256) for q, kv in product(QUERIES, KEYS)]
    return min((blocks.fit(N, S) for blocks in candidates), key=cost)
