"""Forward attention on the TPU: scores kept transposed, one pass over live blocks.

With queries in lanes and keys in sublanes, a tile of scores is S^T = K Q^T and the output
O^T = V^T P^T. The row sum is then a plain chain of vector additions, P^T is the stationary
operand of the second product, and the head dim is only streamed: any size, no padding.

One grid step is one (query block, key block) that is live, in an order that keeps a query
block in place until its keys are through. Inside, the scores of the next `step` keys are
issued before the exponentials of these, or the scheduler would leave the matrix unit idle.

What stands for the row's maximum m in p = exp2(s - m), s in base 2, is the mode:

    none     m = 0: the caller has shown that no |s| exceeds about 100
    bounded  m is an upper bound less 100, given per row: nothing overflows
    online   the running maximum (Milakov & Gimelshein 2018): always right

Masked and ragged tiles run the same code with s set so low where nothing is attended that p
is 0; they are the only ones that pay for the mask. Infinities appear nowhere.
"""

import functools
from typing import Any, Literal

import jax
import jax.numpy as jnp
from jax.experimental import pallas as pl
from jax.experimental.pallas import tpu as pltpu

from videogen.core.types import Array
from videogen.ops.attention import steps as steps_
from videogen.ops.attention.local import EMPTY, Carry
from videogen.ops.attention.mask import Bound, Mask
from videogen.ops.attention.pallas_tpu.blocks import (
    EXCLUDED,
    LOG2_E,
    Blocks,
    attends,
    dot,
    num_inner,
    zero_beyond,
)
from videogen.ops.attention.pallas_tpu.grid import KV, Grid, Inputs, Q, Step

Mode = Literal["none", "bounded", "online"]
F32 = jnp.float32
SUBLANES = 8
SCRATCH = ("m", "l", "o")


def forward(
    q_BKEN: Array,
    k_BGSE: Array,
    v_BGES: Array,
    mask: Mask | None,
    steps: steps_.Steps,
    carry: Carry | None,
    shift_BK1N: Array | None,
    *,
    scale: float,
    mode: Mode,
    blocks: Blocks,
    dtype: Any,
    vmem_bytes: int | None,
    num_kv: int,
    interpret: Any = False,
) -> Carry:
    """The carry with these keys met too, o in `dtype`. See local.Kernel.

    steps: of `steps.forward_steps` with the same blocks. num_kv: keys that count.
    shift_BK1N: m in base 2, for mode "bounded" only.
    """
    B, K, E, N = q_BKEN.shape
    G = k_BGSE.shape[1]
    grid = Grid(B=B, K=K, R=K // G, heads=blocks.heads, steps=steps)
    o_spec, row_spec = (grid.tokens(Q, (rows, blocks.q), 1) for rows in (E, 1))
    inputs: Inputs = {
        "q": (q_BKEN, o_spec),
        "k": (k_BGSE, grid.tokens(KV, (blocks.kv, E), 0, keys=True)),
        "v": (v_BGES, grid.tokens(KV, (E, blocks.kv), 1, keys=True)),
        **grid.masks(mask, blocks.q, blocks.kv),
    }
    if shift_BK1N is not None:
        inputs["shift"] = shift_BK1N, row_spec
    if carry is not None:
        inputs["o_carry"] = carry.o_BKEN, o_spec
        inputs["lse_carry"] = carry.lse_BKN[:, :, None], row_spec
    kernel = functools.partial(
        _kernel,
        names=(*inputs, "o_out", "lse_out", *SCRATCH),
        grid=grid,
        num_kv=num_kv,
        bounds=() if mask is None else mask.bounds,
        factor=scale * LOG2_E,
        mode=mode,
        blocks=blocks,
    )
    o_BKEN, lse_BK1N = pl.pallas_call(
        kernel,
        name=f"attention_forward_{mode}",
        grid_spec=pltpu.PrefetchScalarGridSpec(
            num_scalar_prefetch=4,
            grid=grid.shape,
            in_specs=[spec for _, spec in inputs.values()],
            out_specs=[o_spec, row_spec],
            scratch_shapes=[
                pltpu.VMEM((blocks.heads, rows, blocks.q), F32)
                for rows in (SUBLANES, SUBLANES, E)
            ],
        ),
        out_shape=[
            jax.ShapeDtypeStruct((B, K, E, N), dtype),
            jax.ShapeDtypeStruct((B, K, 1, N), F32),
        ],
        compiler_params=pltpu.CompilerParams(
            dimension_semantics=("parallel", "parallel", "arbitrary"),
            vmem_limit_bytes=vmem_bytes,
            disable_bounds_checks=True,
        ),
        interpret=interpret,
        metadata=grid.metadata(
            steps_.forward_steps(None, N, num_kv, blocks.q, blocks.kv),
            (steps_.FIRST, steps_.LAST),
        ),
    )(*grid.lists, *(x for x, _ in inputs.values()))
    return Carry(o_BKEN, lse_BK1N[:, :, 0])


def _kernel(
    *refs,
    names: tuple[str, ...],
    grid: Grid,
    num_kv: int,
    bounds: tuple[Bound, ...],
    factor: float,
    mode: Mode,
    blocks: Blocks,
):
    """One grid step. Scratch: m and l, 8 partial rows each, and o, not normalised."""
    step = Step(grid, refs[:4], dict(zip(names, refs[4:], strict=True)))
    left = num_kv - step.kv_block * blocks.kv if num_kv % blocks.kv else None
    add_block = functools.partial(
        _block,
        bounds=bounds,
        left=left,
        num_kv=num_kv,
        factor=factor,
        mode=mode,
        blocks=blocks,
    )
    step.when(steps_.FIRST, functools.partial(_start, mode=mode))
    step.dispatch(add_block)
    step.when(steps_.LAST, functools.partial(_finish, mode=mode))


def _start(refs, mode: Mode):
    """Nothing met yet, or what the carry has met."""
    m_ref, l_ref, o_ref = (refs[name] for name in SCRATCH)
    m_1N = refs["shift"][...] if mode == "bounded" else EMPTY
    m_ref[...] = jnp.broadcast_to(m_1N, m_ref.shape)
    if "o_carry" not in refs:
        l_ref[...] = jnp.zeros_like(l_ref)
        o_ref[...] = jnp.zeros_like(o_ref)
        return
    lse_1N = refs["lse_carry"][...]
    met, lse2_1N = lse_1N > 0.5 * EMPTY, lse_1N * LOG2_E
    if mode == "online":
        m_ref[...] = jnp.broadcast_to(jnp.where(met, lse2_1N, EMPTY), m_ref.shape)
        l_1N = jnp.where(met, 1.0, 0.0)
    else:
        m_1N = m_1N if mode == "bounded" else 0.0
        l_1N = jnp.where(met, jnp.exp2(lse2_1N - m_1N), 0.0)
    first = jax.lax.broadcasted_iota(jnp.int32, l_ref.shape, 0) == 0
    l_ref[...] = jnp.where(first, l_1N, 0.0)
    o_ref[...] = refs["o_carry"][...].astype(F32) * l_1N


def _block(refs, masked: bool, *, bounds, left, num_kv, factor, mode, blocks: Blocks):
    """Adds one block of keys, `step` of them at a time, scores one ahead."""
    q_EN = refs["q"][...]
    m, total, o = (refs[name][...] for name in SCRATCH)
    num = num_inner(blocks, num_kv, only_tail=masked and not bounds)

    def scores(i):
        return dot(refs["k"][blocks.part(i), :], q_EN)

    ahead = scores(0)
    for i in range(num):
        s_SN = ahead
        if i + 1 < num:
            ahead = scores(i + 1)
        if factor != 1.0:
            s_SN = s_SN * factor
        v_ES = refs["v"][:, blocks.part(i)]
        if masked:
            tail = None if left is None else left - i * blocks.step
            inside = attends(refs, blocks.part(i), bounds, tail, s_SN.shape)
            v_ES = v_ES if tail is None else zero_beyond(v_ES, tail, 1)
            s_SN = jnp.where(inside, s_SN, EXCLUDED)
        decay = None
        if mode == "online":
            top = jnp.maximum(m, _fold(s_SN, jnp.max).max(0, keepdims=True))
            decay, m = jnp.exp2(m - top), top
        if mode != "none":
            s_SN = _by_sublanes(jnp.subtract, s_SN, m)
        p_SN = jnp.exp2(s_SN)
        if decay is not None:
            total, o = decay * total, _by_sublanes(jnp.multiply, o, decay)
        total = total + _fold(p_SN, jnp.sum)
        o = o + dot(v_ES, p_SN.astype(v_ES.dtype))
    refs["l"][...], refs["o"][...] = total, o
    if mode == "online":
        refs["m"][...] = m


def _finish(refs, mode: Mode):
    """Normalises and writes."""
    l_1N = refs["l"][...].sum(0, keepdims=True)
    met = l_1N > 0
    l_1N = jnp.where(met, l_1N, 1.0)
    m_1N = 0.0 if mode == "none" else refs["m"][:1, :]
    lse_1N = jnp.where(met, (jnp.log2(l_1N) + m_1N) / LOG2_E, EMPTY)
    refs["lse_out"][...] = lse_1N
    o_EN = refs["o"][...] * (1.0 / l_1N)
    refs["o_out"][...] = o_EN.astype(refs["o_out"].dtype)


def _by_sublanes(operation, x_SN: Array, rows_8N: Array) -> Array:
    """operation(x, row), the row given 8 times: registers meet registers, no broadcast."""
    if x_SN.shape[0] % SUBLANES:
        return operation(x_SN, rows_8N[:1])
    x = x_SN.reshape(-1, SUBLANES, x_SN.shape[1])
    return operation(x, rows_8N).reshape(x_SN.shape)


def _fold(x_SN: Array, reduce) -> Array:
    """Keys reduced to the 8 sublanes of a vector register: plain vector operations."""
    return reduce(x_SN.reshape(-1, SUBLANES, x_SN.shape[1]), axis=0)
