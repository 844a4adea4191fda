"""Block sizes: a table that was searched, and what to do off the table.

`tuning.json` holds, per (chip, head dim, tokens), the sizes of the forward kernel in each
mode and of the backward kernel with the fewest cycles in the compiler's final schedules;
`benchmarks/tune.py` writes it. A mode that a row lacks runs with the sizes of "none". Off
the table the nearest row stands in: the chip's own, then the nearest head dim, then the
nearest number of tokens, in ratio. Sizes are then cut to what the tokens need and to
what VMEM holds.

A mask changes what is best: small blocks visit fewer pairs of tokens that are not attended,
large ones waste less at their ends. The lists of a static mask are cheap to build, so they
are built for every candidate and the cheapest is taken, by what the schedules show: a step
costs its pairs, more if it looks at them, and a number of cycles to begin and end. Dynamic
masks get small blocks.

A step takes several heads where its blocks are small, up to PAIRS_PER_STEP: they hide each
other's latencies.
"""

import functools
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from importlib import resources
from itertools import product
from typing import Any

from videogen.ops.attention import steps
from videogen.ops.attention.mask import Mask
from videogen.ops.attention.pallas_tpu.blocks import LANES, Blocks, round_up
from videogen.parallel.chips import Chip

MIB = 2**20
# What a step costs beyond its pairs of tokens, once and for each of its heads. On v6e, 1024 x
# 1024 with 1, 2, 4 heads: 470, 590, 770 cycles; on v5e a little less.
STEP_CYCLES, HEAD_CYCLES = 350, 110
# Times the cycles of a pair that is looked at, by the width of the matrix unit, which hides
# more when it is narrow: v5e 1.08 forward, 1.01 backward; v6e 1.16 and 1.03.
MASKED_COST = {128: 1.05, 256: 1.12}
# Of the peak, which a wide unit cannot reach with operands as narrow as a head.
EFFICIENCY = {128: 0.97, 256: 0.62}
MODES = ("none", "bounded", "online")
IN_PARTS = 1.25  # times the cycles of a pass whose dq does not fit in VMEM
QUERIES, KEYS = (512, 1024, 2048), (512, 1024, 2048, 4096)
MOST = 2048  # queries of a block
LONG = 4096  # keys of a block, of which fewer are not taken to make room for dq
DYNAMIC = 1024  # queries and keys of a block, for masks known at run time only
PAIRS_PER_STEP = 2**22  # what all heads of a step visit; the code of a step is unrolled
LONGEST_LIST = 2**15  # steps of all rows of the batch; their lists lie in scalar memory
RESERVED = 2 * MIB  # of VMEM, for the compiler's own use


@dataclass(frozen=True, kw_only=True)
class Shape:
    """N queries in K heads, S keys in G heads, of head dim E.

    itemsize, grad_itemsize: bytes of a number of q, k, v and of a gradient.
    """

    K: int
    G: int
    E: int
    N: int
    S: int
    itemsize: int = 2
    grad_itemsize: int = 4


@dataclass(frozen=True, kw_only=True)
class Tuned:
    """One row of the table."""

    chip: str
    head_dim: int
    tokens: int
    forward: Mapping[str, Blocks]  # by mode
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
    chip: Chip, shape: Shape, mask: Mask | None, *, mode: str = "none"
) -> Blocks:
    """Sizes for the forward kernel."""
    N, S = shape.N, shape.S

    def fits(blocks: Blocks) -> bool:
        return forward_bytes(shape, blocks, mask) <= chip.vmem_bytes - RESERVED

    with_heads = functools.partial(_with_heads, chip, shape, fits=fits)
    if mask is None:
        blocks = with_heads(_fit(nearest(chip, shape.E, S).forward[mode], N, S))
    elif not mask.is_static:
        blocks = with_heads(_dynamic(mask, N, S))
    else:
        blocks = _cheapest(steps.forward_steps, mask, chip, shape, 2, with_heads, fits)
    return _shrunk(blocks, fits)


def backward_blocks(chip: Chip, shape: Shape, mask: Mask | None) -> Blocks:
    """Sizes for the backward kernel; key blocks as large as VMEM holds beside dq."""
    N, S = shape.N, shape.S

    def holds(most: int, blocks: Blocks) -> bool:
        return queries_in_vmem(chip, shape, blocks, mask) >= most

    # All of dq, or as much as there is room for.
    with_heads = functools.partial(
        _with_heads, chip, shape, fits=functools.partial(holds, N)
    )
    if mask is None:
        blocks = with_heads(_fit(nearest(chip, shape.E, S).backward, N, S))
    elif not mask.is_static:
        blocks = with_heads(_dynamic(mask, N, S))
    else:
        blocks = _cheapest(
            steps.backward_steps,
            mask,
            chip,
            shape,
            5,
            with_heads,
            functools.partial(holds, N),
        )
    if not holds(N, blocks):
        blocks = replace(blocks, buffers=1)
    while not holds(N, blocks) and blocks.kv > LONG:
        blocks = replace(blocks, kv=max(LONG, blocks.kv - LANES * 8))
    return _shrunk(blocks, lambda blocks: holds(blocks.q, blocks))


def forward_bytes(shape: Shape, blocks: Blocks, mask: Mask | None) -> int:
    """VMEM that the forward kernel takes: windows twice, sums, scores in flight."""
    rows, size = round_up(shape.E, 16), shape.itemsize
    num_features = 0 if mask is None else len(mask.bounds)
    windows = 2 * rows * (blocks.q * (size + 2 * 4) + 2 * blocks.kv * size)
    scratch = (rows + 2 * 8 + 3 * 2 * 8) * blocks.q * 4
    masks = 2 * round_up(num_features, 8) * (blocks.q + blocks.kv) * 4
    return blocks.heads * (windows + scratch) + masks + _tile_bytes(shape, blocks)


def queries_in_vmem(chip: Chip, shape: Shape, blocks: Blocks, mask: Mask | None) -> int:
    """How many queries' dq stay in VMEM beside all else: a multiple of the block, or 0.

    Gradients that are yet to be added up, of parts or of query heads, are float32.
    """
    if shape.grad_itemsize < 4:
        whole = _queries_beside(chip, shape, blocks, mask)
        if shape.K == shape.G and whole >= shape.N:
            return whole
    return _queries_beside(chip, replace(shape, grad_itemsize=4), blocks, mask)


def _queries_beside(chip: Chip, shape: Shape, blocks: Blocks, mask: Mask | None) -> int:
    num_features = 0 if mask is None else len(mask.bounds)
    rows, size = round_up(shape.E, 16) * blocks.heads, shape.itemsize
    grad, buffers = shape.grad_itemsize, blocks.buffers
    keys = rows * blocks.kv * (buffers * 2 * (size + grad) + 2 * 4 + 2 * size)
    queries = rows * blocks.q * (2 * 2 * size + 2 * grad + 2 * 4)
    columns = num_features * blocks.kv * 4 * LANES
    used = keys + queries + columns + _tile_bytes(shape, blocks)
    left = chip.vmem_bytes - RESERVED - used
    return max(0, left // (rows * 4 * blocks.q)) * blocks.q


def _tile_bytes(shape: Shape, blocks: Blocks) -> int:
    """Scores in flight, and what spills; float32 is multiplied in six parts."""
    parts = 6 if shape.itemsize == 4 else 1
    return 8 * blocks.step * blocks.q * 4 * parts


@functools.cache
def table() -> tuple[Tuned, ...]:
    """All rows of tuning.json."""
    text = (
        resources.files("videogen.ops.attention.pallas_tpu")
        .joinpath("tuning.json")
        .read_text()
    )
    return tuple(read_row(row) for row in json.loads(text)["rows"])


def read_row(row: Mapping[str, Any]) -> Tuned:
    """A row of tuning.json."""
    sizes = {
        name: Blocks(**dict(zip(("q", "kv", "step"), row[name], strict=True)))
        for name in (*MODES, "backward")
        if name in row
    }
    return Tuned(
        chip=row["chip"],
        head_dim=row["head_dim"],
        tokens=row["tokens"],
        forward={mode: sizes.get(mode, sizes["none"]) for mode in MODES},
        backward=sizes["backward"],
    )


def _fit(tuned: Blocks, N: int, S: int) -> Blocks:
    """No larger than the tokens need; few keys (text) make room for more queries."""
    blocks = tuned.fit(N, S)
    while 2 * blocks.q * blocks.kv <= tuned.q * tuned.kv and 2 * blocks.q <= min(
        N, MOST
    ):
        blocks = replace(blocks, q=2 * blocks.q)
    return blocks


def _with_heads(
    chip: Chip, shape: Shape, blocks: Blocks, *, fits: Callable[[Blocks], bool]
) -> Blocks:
    """With as many heads as a step should take; cores that share the heads get as many.

    fits: in VMEM.
    """
    shared, cores = shape.K // shape.G, chip.cores_per_device
    for heads in range(shape.K, 1, -1):
        groups = shape.K // heads
        chosen = replace(blocks, heads=heads)
        if (
            shape.K % heads == 0
            and (heads % shared == 0 or shared % heads == 0)
            and (groups % cores == 0 or shape.K % cores)
            and heads * blocks.q * blocks.kv <= PAIRS_PER_STEP
            and fits(chosen)
        ):
            return chosen
    return blocks


def _shrunk(blocks: Blocks, fits: Callable[[Blocks], bool]) -> Blocks:
    """Halved, the longer side first, until it fits or is as small as can be."""
    while not fits(blocks) and max(blocks.q, blocks.kv) >= 2 * LANES:
        if blocks.kv >= max(blocks.q, 2 * LANES):
            kv = round_up(blocks.kv // 2, LANES)
            blocks = replace(blocks, kv=kv, step=math.gcd(kv, blocks.step))
        else:
            blocks = replace(blocks, q=round_up(blocks.q // 2, LANES))
    return blocks


def _dynamic(mask: Mask, N: int, S: int) -> Blocks:
    """Small blocks, but no more of them than a list may hold."""
    rows, q, kv = mask.q_RFN.shape[0], DYNAMIC, DYNAMIC
    while rows * -(-N // q) * -(-S // kv) > LONGEST_LIST and q < N:
        q, kv = (2 * q, kv) if q < kv else (q, 2 * kv)
    return Blocks(q=q, kv=kv, step=256).fit(N, S)


def _cheapest(
    make_steps: Any,
    mask: Mask,
    chip: Chip,
    shape: Shape,
    products: int,
    with_heads: Callable[[Blocks], Blocks],
    fits: Callable[[Blocks], bool],
) -> Blocks:
    """The candidate whose list of steps costs the fewest cycles, as it is or in parts."""
    width, N, S = chip.mxu_width, shape.N, shape.S
    pairs_per_cycle = EFFICIENCY[width] * chip.macs_per_cycle / (products * shape.E)

    def cost(blocks: Blocks) -> tuple[int, float]:
        """Steps without room in the list, then cycles of one head."""
        flags = make_steps(mask, N, S, blocks.q, blocks.kv).flags
        live, masked = ((flags & bit != 0).sum() for bit in (steps.LIVE, steps.MASKED))
        pairs = (live + (MASKED_COST[width] - 1) * masked) * blocks.q * blocks.kv
        per_step = STEP_CYCLES / blocks.heads + HEAD_CYCLES
        cycles = pairs / pairs_per_cycle + per_step * flags.size
        cycles *= 1.0 if fits(blocks) else IN_PARTS
        return max(0, flags.size - LONGEST_LIST), cycles

    sizes = [Blocks(q=q, kv=kv, step=256) for q, kv in product(QUERIES, KEYS)]
    return min((with_heads(blocks.fit(N, S)) for blocks in sizes), key=cost)
