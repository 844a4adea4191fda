"""Our attention kernels as cases for `videogen.cost`, through the entry that models call.

The scale is folded into the queries, as models do whose queries are normed; the wrapper's
case leaves it to the kernel. How often their parts run the kernels note themselves; of lists
that are known at run time only it is counted here, in those they will be given.
"""

from dataclasses import dataclass
from functools import partial
from math import log, prod
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.attention_peers import useful_flops
from videogen.cost.case import Case
from videogen.cost.schedule import Shares
from videogen.ops.attention import steps
from videogen.ops.attention.api import AttentionPlan
from videogen.ops.attention.mask import Mask
from videogen.ops.attention.pallas_tpu import Blocks, PallasTpuKernel, tuning
from videogen.ops.attention.pallas_tpu.tuning import Shape
from videogen.ops.attention.patterns import (
    BlockCausal,
    Pattern,
    SlidingTile,
    Window,
    grid_coords,
    segments_mask,
)
from videogen.ops.attention.specs import SPECS
from videogen.parallel.chips import chip_of_kind, find_chip

SCALE = log(2)  # 1 in base 2: nothing is left to multiply
SMALL = 20.0  # a bound on the logits under which the kernel needs no maximum
Mode = Literal["none", "bounded", "online", "chosen"]


@dataclass(frozen=True, kw_only=True)
class Sparse:
    """A pattern and the grid of tokens that it is laid over, in the pattern's order."""

    pattern: Pattern
    grid: tuple[int, int, int]

    def coords(self) -> np.ndarray:
        return grid_coords(self.grid)[self.pattern.order(self.grid)]

    def mask(self) -> Mask | None:
        coords = self.coords()
        return self.pattern.mask(coords, coords)


GRID = (16, 48, 80)
SPARSE: dict[str, Sparse] = {
    # Four frames either side, of 80: a tenth.
    "window": Sparse(pattern=Window(frames=4), grid=(80, 32, 32)),
    # 3 of 30 tiles.
    "sliding-tile": Sparse(
        pattern=SlidingTile(tile=(8, 16, 16), window=(1, 3, 1), grid=GRID), grid=GRID
    ),
    "block-causal": Sparse(pattern=BlockCausal(chunk=4), grid=(32, 32, 32)),
}
SEGMENTS = (1000, 2100, 3050, 4090, 5100, 6090, 5120, 6218)  # tokens of packed videos


def full(
    devices: Any, K: int, E: int, N: int, mode: Mode = "none", backward: bool = False
) -> Case:
    """Every token attends every token. "chosen": the mode is looked up in the data."""
    plan = _plan(devices, None if mode in ("none", "chosen") else mode)
    bound = SMALL if mode == "none" else None
    attend = partial(plan.transposed, scale=SCALE, logit_bound=bound)
    return Case(
        function=_program(attend, backward),
        args=_transposed(K, E, N, backward),
        flops=useful_flops(K, E, N, backward),
        **_about_kernels(plan, _self(K, E, N), None),
        branch="attention_forward_none",
    )


def wrapper(devices: Any, K: int, E: int, N: int, backward: bool = False) -> Case:
    """The layout (batch, tokens, heads, head dim), and a scale that is not folded in.

    As arrays of that shape lie on a TPU by default: row-major would pad 12 heads to 16.
    """
    plan = _plan(devices, None)
    x = jax.ShapeDtypeStruct((1, N, K, E), jnp.bfloat16)
    return Case(
        function=_program(partial(plan, logit_bound=SMALL), backward),
        args=(x,) * (4 if backward else 3),
        flops=useful_flops(K, E, N, backward),
        **_about_kernels(plan, _self(K, E, N), None) | {"row_major": False},
    )


def sparse(devices: Any, K: int, E: int, name: str, backward: bool = False) -> Case:
    """A static pattern of SPARSE."""
    case = SPARSE[name]
    plan = _plan(devices, None, case.pattern)
    coords, N = case.coords(), prod(case.grid)
    attend = partial(
        plan.transposed,
        q_coords_BN4=coords,
        kv_coords_BS4=coords,
        scale=SCALE,
        logit_bound=SMALL,
    )
    return Case(
        function=_program(attend, backward),
        args=_transposed(K, E, N, backward),
        **_about_kernels(plan, _self(K, E, N), case.mask()),
    )


def packed(devices: Any, K: int, E: int, backward: bool = False) -> Case:
    """Eight segments in one row, known only when it runs; their lists are built then."""
    N = sum(SEGMENTS)
    plan = _plan(devices, None)
    ids_1N = jax.ShapeDtypeStruct((1, N), jnp.int32)

    def attend(q, k, v, ids):
        return plan.transposed(
            *(q, k, v),
            q_segments_BN=ids,
            kv_segments_BS=ids,
            scale=SCALE,
            logit_bound=SMALL,
        )

    def run(ids, *qkv):
        return _program(lambda *x: attend(*x, ids), backward)(*qkv)

    return Case(
        function=run,
        args=(ids_1N, *_transposed(K, E, N, backward)),
        **_about_kernels(plan, _self(K, E, N), segment_mask(), dynamic=True),
    )


def published(devices: Any, name: str) -> Case:
    """One row of specs.py, forward and backward."""
    spec, plan = SPECS[name], _plan(devices, None)
    sizes = (
        (spec.K, spec.E, spec.N),
        (spec.K, spec.E, spec.N),
        (spec.G, spec.S, spec.E),
        (spec.G, spec.E, spec.S),
    )
    attend = partial(plan.transposed, scale=SCALE, logit_bound=SMALL)
    tokens = {"N": spec.N, "S": spec.S}
    shape = Shape(K=spec.K, G=spec.G, E=spec.E, **tokens, grad_itemsize=2)
    return Case(
        function=_program(attend, backward=True),
        args=tuple(jax.ShapeDtypeStruct((spec.B, *x), jnp.bfloat16) for x in sizes),
        flops=14.0 * spec.B * spec.N * spec.S * spec.E * spec.K,
        **_about_kernels(plan, shape, None),
    )


def segment_mask() -> Mask:
    """The packed row's mask, as it will be."""
    ids_1N = np.repeat(np.arange(len(SEGMENTS)), SEGMENTS)[None]
    return segments_mask(ids_1N.astype(np.int32), ids_1N.astype(np.int32))


def _plan(devices: Any, mode: Any, pattern: Pattern | None = None) -> AttentionPlan:
    chip = chip_of_kind(devices[0].device_kind)
    assert chip is not None, devices[0]
    kernel = PallasTpuKernel(chip=chip.name, mode=mode)
    return AttentionPlan(implementation=kernel, pattern=pattern, chip=chip.name)


def _kernel(plan: AttentionPlan) -> PallasTpuKernel:
    assert isinstance(plan.implementation, PallasTpuKernel)
    return plan.implementation


def _self(K: int, E: int, N: int) -> Shape:
    return Shape(K=K, G=K, E=E, N=N, S=N, grad_itemsize=2)


def _program(attend: Any, backward: bool) -> Any:
    """attend(q, k, v), or its gradients from (do, q, k, v)."""

    def both(do, *qkv):
        return jax.vjp(attend, *qkv)[1](do)

    return both if backward else attend


def _transposed(K: int, E: int, N: int, backward: bool) -> tuple[Any, ...]:
    column = jax.ShapeDtypeStruct((1, K, E, N), jnp.bfloat16)
    row = jax.ShapeDtypeStruct((1, K, N, E), jnp.bfloat16)
    return (column,) * backward + (column, row, column)


def _about_kernels(
    plan: AttentionPlan, shape: Shape, mask: Mask | None, *, dynamic: bool = False
) -> dict[str, Any]:
    """Fields of a Case. The facts: which share of all pairs of blocks the kernels visit."""
    kernel, chip = _kernel(plan), find_chip(plan.chip or "")
    N, S = shape.N, shape.S
    known = jax.tree.map(jnp.asarray, mask) if dynamic else mask
    ahead = kernel.forward_blocks or tuning.forward_blocks(
        chip, shape, known, mode=kernel.mode or "none"
    )
    back = kernel.backward_blocks or tuning.backward_blocks(chip, shape, known)
    ahead, back = ahead.fit(N, S), back.fit(N, S)
    most = max(back.q, tuning.queries_in_vmem(chip, shape, back, known))
    parts = [slice(at, min(at + most, N)) for at in range(0, N, most)]
    forward_steps = steps.forward_steps(mask, N, S, ahead.q, ahead.kv)
    backward_steps = [
        steps.backward_steps(
            mask.queries(part) if mask else None,
            part.stop - part.start,
            S,
            back.q,
            back.kv,
        )
        for part in parts
    ]
    forward_flags = forward_steps.flags[0]
    backward_flags = np.concatenate([one.flags[0] for one in backward_steps])

    def shares(blocks: Blocks, flags: np.ndarray, cold: tuple[int, ...]) -> Shares:
        calls = shape.K // blocks.heads // chip.cores_per_device
        return _shares_of(flags, cold, num_steps=len(flags) * calls)

    cold = steps.FIRST, steps.LAST
    cold_backward = steps.FIRST, steps.DQ_FIRST, steps.LAST, steps.DQ_LAST
    counted = {
        "attention_forward": shares(ahead, forward_flags, cold),
        "attention_backward": shares(back, backward_flags, cold_backward),
    }
    return {
        "row_major": True,  # as projections write them
        "shares": counted if dynamic else {},
        "facts": {
            "tokens": float(N),
            "pairs": 1.0 if mask is None else _pairs_attended(mask),
            "kept_forward": _live(forward_flags) / _pairs(shape, ahead),
            "kept_backward": _live(backward_flags) / _pairs(shape, back),
        },
    }


def _pairs_attended(mask: Mask) -> float:
    """The share of all pairs of tokens; some queries at a time, for there are many pairs."""
    parts = [slice(at, at + 512) for at in range(0, mask.q_RFN.shape[2], 512)]
    attended = sum(int(np.sum(mask.queries(part).attends())) for part in parts)
    return attended / mask.q_RFN.shape[2] / mask.kv_RFS.shape[2]


def _pairs(shape: Shape, blocks: Blocks) -> int:
    return -(-shape.N // blocks.q) * -(-shape.S // blocks.kv)


def _live(flags: np.ndarray) -> int:
    return int(np.sum(flags & steps.LIVE != 0))


def _shares_of(flags: np.ndarray, cold: tuple[int, ...], *, num_steps: int) -> Shares:
    """Of a list whose kernel holds code for steps that look at tokens and that do not."""
    live, masked = flags & steps.LIVE != 0, flags & steps.MASKED != 0
    parts = [live & ~masked, live & masked, *(flags & bit != 0 for bit in cold)]
    whole, looked_at, *rest = (float(np.mean(part)) for part in parts)
    return Shares(bodies=(whole, looked_at), cold=tuple(rest), steps=num_steps)
