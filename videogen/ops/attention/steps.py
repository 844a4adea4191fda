"""Which pairs of blocks a kernel visits, in which order, and what it does at each visit.

Queries are cut into X blocks, keys into Y blocks. In a block a feature f lies between its
least and greatest value over the real tokens there, so over a pair of blocks the difference
q - kv of that feature lies in [q_least - kv_greatest, q_greatest - kv_least]. With its
bounds [low, high] the pair of blocks is

    dead     if for some f that interval misses [low, high]: no pair of tokens attends
    full     if for every f that interval lies inside [low, high]: all of them attend
    partial  otherwise: the kernel looks at the tokens (MASKED).

The order. A step is one cell (major, minor) of a grid of blocks: (q, kv) going forward,
where the accumulator of a query block stays in place while its keys go by; (kv, q) going
backward, where dk and dv stay in place and dq is added to over the whole list. The list is
every live cell, in ascending order of major * minors + minor. Every block must be visited,
if only to write zeros: a major block without live cell gets its cell of minor 0, and going
backward a minor block without one its cell of major 0; such a step has no LIVE. So a list
is a subset of the grid in the grid's order. FIRST and LAST of a major block are the first
and last listed cells of its row, DQ_FIRST and DQ_LAST those of its column: no search, and
no scan. One sort of the keys cell * 64 + flags, with unlisted cells past the end, compacts
the list and carries the flags along.

dq leaves the chip through an output window which is written when its block index changes.
The window at step t is therefore the block that is finished next, at t or later. Each query
block is finished once, so each is the window during one unbroken run of steps, which ends
at its DQ_LAST: it is written once, with the final sum. The last step of all is the last of
its row and of its column, so padding after it changes no window.
"""

from typing import Any, NamedTuple

import jax
import numpy as np

from videogen.core.errors import ConfigError
from videogen.ops.attention.mask import Bound, Mask, Tensor, array_module

FIRST = 1  # the first step of its major block: start the accumulators
LAST = 2  # the last step of its major block: write the results
LIVE = 4  # some pair of tokens may attend: there is work
MASKED = 8  # not every pair attends, or the block is ragged: look at the tokens
DQ_FIRST = 16  # backward: the first visit of this query block
DQ_LAST = 32  # backward: the last visit of this query block
_ALL_FLAGS = 64

Interval = tuple[Tensor, Tensor]


class Steps(NamedTuple):
    """One step of a kernel's grid per column, int32 (R, T); R as in the mask, 1 without.

    NumPy for no mask or a static one, else JAX. Rows shorter than T repeat their last
    blocks, with flags 0. `overflow` (R,): the row needs more than `max_steps` steps; its
    list is cut short and a result computed from it is wrong. `count`: the steps of the row
    that needs most; a kernel need not go further.
    """

    q_block: Tensor
    kv_block: Tensor
    flags: Tensor
    dq_block: Tensor  # the window of dq that is open at this step; forward: q_block
    overflow: Tensor
    count: Any  # an int, or a JAX scalar


def forward_steps(
    mask: Mask | None,
    N: int,
    S: int,
    block_q: int,
    block_kv: int,
    max_steps: int | None = None,
) -> Steps:
    """Steps by query block, keys ascending; MASKED says nothing of a ragged query tail.

    max_steps: room for the list of a dynamic mask, dead steps included; None: every pair
        of blocks, or the longest list of `mask.one_of`.

    Raises ValueError for sizes that do not fit, or a static list longer than `max_steps`.
    """
    sizes = (N, S, block_q, block_kv)
    max_steps = _least_room(forward_steps, mask, sizes, max_steps)
    live_RXY, full_RXY = classify(mask, *sizes)
    ragged_Y = _ragged(S, block_kv)
    masked_RXY = live_RXY & (~full_RXY | ragged_Y)
    listed_RXY = live_RXY | _corner_of_dead(live_RXY, axis=2)
    flags_RXY = _edges(listed_RXY, 2, FIRST, LAST) + LIVE * live_RXY
    cells = _compact(listed_RXY, flags_RXY + MASKED * masked_RXY, max_steps)
    q_block, kv_block, flags, overflow, count = cells
    return Steps(q_block, kv_block, flags, q_block, overflow, count)


def backward_steps(
    mask: Mask | None,
    N: int,
    S: int,
    block_q: int,
    block_kv: int,
    max_steps: int | None = None,
    *,
    padded: int = 0,
) -> Steps:
    """Steps by key block, queries ascending; otherwise as `forward_steps`.

    padded: without a mask, as many keys have gradients: zeros, after the S that count.
    """
    sizes = (N, S, block_q, block_kv)
    max_steps = _least_room(backward_steps, mask, sizes, max_steps)
    live_RXY, full_RXY = classify(mask, *sizes)
    dead = -(-max(S, padded) // block_kv) - live_RXY.shape[2]
    live_RXY, full_RXY = _and_dead(live_RXY, dead), _and_dead(full_RXY, dead)
    live_RYX, full_RYX = live_RXY.swapaxes(1, 2), full_RXY.swapaxes(1, 2)
    ragged_Y1 = _and_dead(_ragged(S, block_kv), dead)[:, None]
    masked_RYX = live_RYX & (~full_RYX | ragged_Y1)
    dead_RYX = _corner_of_dead(live_RYX, axis=2) | _corner_of_dead(live_RYX, axis=1)
    listed_RYX = live_RYX | dead_RYX
    flags_RYX = _edges(listed_RYX, 2, FIRST, LAST) + LIVE * live_RYX
    flags_RYX = flags_RYX + _edges(listed_RYX, 1, DQ_FIRST, DQ_LAST)
    cells = _compact(listed_RYX, flags_RYX + MASKED * masked_RYX, max_steps)
    kv_block, q_block, flags, overflow, count = cells
    dq_block = _next_finished(q_block, flags)
    return Steps(q_block, kv_block, flags, dq_block, overflow, count)


def _least_room(
    make_steps: Any, mask: Mask | None, sizes: tuple[int, ...], max_steps: int | None
) -> int | None:
    """Room for any of the masks that this one is known to be, at most `max_steps`."""
    if mask is None or mask.one_of is None:
        return max_steps
    longest = max(make_steps(one, *sizes).flags.shape[1] for one in mask.one_of)
    return longest if max_steps is None else min(longest, max_steps)


def classify(
    mask: Mask | None, N: int, S: int, block_q: int, block_kv: int
) -> tuple[Tensor, Tensor]:
    """(live_RXY, full_RXY), boolean: not dead, and full, per pair of blocks."""
    _check_sizes(mask, N, S, block_q, block_kv)
    X, Y = -(-N // block_q), -(-S // block_kv)
    live_RXY: Any = np.ones((1, X, Y), bool)
    full_RXY = live_RXY
    if mask is None:
        return live_RXY, full_RXY
    q_least_RFX, q_most_RFX = _block_range(mask.q_RFN, block_q)
    kv_least_RFY, kv_most_RFY = _block_range(mask.kv_RFS, block_kv)
    for f, bound in enumerate(mask.bounds):
        live, full = _decide(
            bound,
            (q_least_RFX[:, f, :, None], q_most_RFX[:, f, :, None]),
            (kv_least_RFY[:, f, None, :], kv_most_RFY[:, f, None, :]),
        )
        live_RXY, full_RXY = live_RXY & live, full_RXY & full
    return live_RXY, full_RXY


def _decide(bound: Bound, q: Interval, kv: Interval) -> tuple[Any, Any]:
    """(some difference may lie within the bound, all must), of one feature."""
    (low, high), (q_least, q_most), (kv_least, kv_most) = bound, q, kv
    if low == high == 0:  # without a difference, which could overflow
        apart = (q_least > kv_most) | (q_most < kv_least)
        return ~apart, (q_least == kv_most) & (q_most == kv_least)
    least, most = q_least - kv_most, q_most - kv_least
    return (least <= high) & (low <= most), (low <= least) & (most <= high)


def _block_range(x_RFN: Tensor, block: int) -> tuple[Tensor, Tensor]:
    """The least and the greatest feature in each block; a short one repeats its last."""
    R, F, N = x_RFN.shape
    ends = ((0, 0), (0, 0), (0, -N % block))
    x = array_module(x_RFN).pad(x_RFN, ends, mode="edge").reshape(R, F, -1, block)
    return x.min(axis=-1), x.max(axis=-1)


def _ragged(length: int, block: int) -> np.ndarray:
    """Per block, whether it is cut short by the end of the sequence."""
    return (1 + np.arange(-(-length // block))) * block > length


def _and_dead(blocks: Any, count: int) -> Any:
    """Of each block, and False of `count` more key blocks, the last dim."""
    if not count:
        return blocks
    widths = [(0, 0)] * (blocks.ndim - 1) + [(0, count)]
    return array_module(blocks).pad(blocks, widths)


def _corner_of_dead(live: Tensor, axis: int) -> Tensor:
    """Cell 0 of every line along `axis` that has no live cell."""
    return ~live.any(axis=axis, keepdims=True) & (_index(live, axis) == 0)


def _edges(listed: Tensor, axis: int, first: int, last: int) -> Tensor:
    """`first` at the first listed cell of every line along `axis`, `last` at its last."""
    xp, index = array_module(listed), _index(listed, axis)
    top = xp.where(listed, index, -1).max(axis=axis, keepdims=True)
    bottom = xp.where(listed, index, listed.shape[axis]).min(axis=axis, keepdims=True)
    return first * (index == bottom) + last * (index == top)


def _index(x: Tensor, axis: int) -> np.ndarray:
    shape = [1] * x.ndim
    shape[axis] = -1
    return np.arange(x.shape[axis], dtype=np.int32).reshape(shape)


def _compact(
    listed_RMm: Tensor, flags_RMm: Tensor, max_steps: int | None
) -> tuple[Tensor, Tensor, Tensor, Tensor, Any]:
    """(major, minor, flags) of the listed cells, each (R, T), overflow (R,) and count."""
    xp = array_module(listed_RMm)
    R, majors, minors = listed_RMm.shape
    cells = majors * minors
    cell_Mm = np.arange(cells, dtype=np.int32).reshape(majors, minors)
    key_RMm = xp.where(listed_RMm, cell_Mm * _ALL_FLAGS + flags_RMm, 2**31 - 1)
    length_R = listed_RMm.sum(axis=(1, 2))
    last_R1 = xp.where(listed_RMm, cell_Mm, 0).max(axis=(1, 2))[:, None]
    steps, overflow_R = _room(length_R, cells, max_steps)
    key_RT = xp.sort(key_RMm.reshape(R, cells), axis=1)[:, :steps]
    padding_RT = key_RT == 2**31 - 1
    cell_RT = xp.where(padding_RT, last_R1, key_RT // _ALL_FLAGS)
    flags_RT = xp.where(padding_RT, 0, key_RT % _ALL_FLAGS)
    major_RT, minor_RT = cell_RT // minors, cell_RT % minors
    columns = (x.astype(np.int32) for x in (major_RT, minor_RT, flags_RT))
    count = steps if xp is np else length_R.max().clip(max=steps).astype(np.int32)
    return *columns, overflow_R, count


def _room(length_R: Any, cells: int, max_steps: int | None) -> tuple[int, Any]:
    """T, and which rows do not fit in it. A static list is as long as it needs to be."""
    if max_steps is not None and max_steps < 1:
        raise ConfigError(f"attention max_steps={max_steps} must be at least 1")
    if not isinstance(length_R, np.ndarray):
        steps = cells if max_steps is None else min(max_steps, cells)
        return steps, length_R > steps
    steps = int(length_R.max())
    if max_steps is not None and steps > max_steps:
        raise ValueError(
            f"attention: max_steps={max_steps} but the mask needs {steps} steps; raise it"
        )
    return steps, np.zeros(length_R.shape, bool)


def _next_finished(q_block_RT: Tensor, flags_RT: Tensor) -> Tensor:
    """Per step, the query block with the first DQ_LAST from there on; then the last's."""
    xp, T = array_module(flags_RT), flags_RT.shape[1]
    step_RT = xp.where(flags_RT & DQ_LAST, np.arange(T, dtype=np.int32), T - 1)
    if xp is np:
        next_RT = np.minimum.accumulate(step_RT[:, ::-1], axis=1)[:, ::-1]
    else:
        next_RT = jax.lax.cummin(step_RT, axis=1, reverse=True)
    return xp.take_along_axis(q_block_RT, next_RT, axis=1)


def _check_sizes(mask: Mask | None, N: int, S: int, block_q: int, block_kv: int):
    for name, size in (
        ("N", N),
        ("S", S),
        ("block_q", block_q),
        ("block_kv", block_kv),
    ):
        if size < 1:
            raise ValueError(f"attention steps: {name}={size} must be at least 1")
    cells = -(-N // block_q) * -(-S // block_kv)
    if cells * _ALL_FLAGS >= 2**31:
        raise ValueError(
            f"attention steps: block_q={block_q}, block_kv={block_kv} cut {N} x {S} tokens "
            f"into {cells} pairs of blocks; use blocks so large that there are below 2**25"
        )
    if mask is not None and (mask.q_RFN.shape[2], mask.kv_RFS.shape[2]) != (N, S):
        raise ValueError(
            f"attention steps: the mask has {mask.q_RFN.shape[2]} queries and "
            f"{mask.kv_RFS.shape[2]} keys; needs {N} and {S}"
        )
