"""Backward attention on the TPU: dq, dk and dv in one pass, five products a tile.

With P^T = exp2(S^T - L) from the saved logsumexp L (base 2 here), nothing can overflow
and no mode is needed. For one tile, keys in sublanes and queries in lanes,

    S^T = K Q^T,  dP^T = V dO^T,  dS^T = P^T * (dP^T - di),  di = sum_e dO * O
    dV = P^T dO,  dK = scale * dS^T Q,  dQ^T = scale * K^T dS^T.

Steps go key block by key block: dK and dV of the block accumulate in VMEM, and dQ^T of the
whole head stays there too, (E, N) in float32. Nothing partial ever reaches HBM and nothing
is computed twice. Heads are the one parallel dimension, so two cores share them.

V and K^T, the transposes of what the forward pass reads, are made in VMEM once per key
block. dK and dV are kept transposed, (E, keys), because a 256-wide matrix unit would be
half empty at (keys, E); so P^T and dS^T must be turned, tile by tile, see `_turn`. The
order of queries within a block does not matter to a sum over queries, as long as Q^T and
dO^T are turned the same way.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
from jax.experimental import pallas as pl
from jax.experimental.pallas import tpu as pltpu

from videogen.core.types import Array
from videogen.ops.attention import steps as steps_
from videogen.ops.attention.local import EMPTY
from videogen.ops.attention.mask import Bound, Mask
from videogen.ops.attention.pallas_tpu.blocks import (
    EXCLUDED,
    KV_COLUMNS,
    LANES,
    LOG2_E,
    Blocks,
    attends,
    dot,
    num_inner,
    round_up,
    write_columns,
    zero_beyond,
)
from videogen.ops.attention.pallas_tpu.grid import DQ, KV, Grid, Inputs, Q, Step

F32 = jnp.float32


def backward(
    q_BKEN: Array,
    k_BGSE: Array,
    v_BGES: Array,
    mask: Mask | None,
    steps: steps_.Steps,
    do_BKEN: Array,
    lse_BK1N: Array,
    di_BK1N: Array,
    *,
    scale: float,
    blocks: Blocks,
    dtype: Any,
    vmem_bytes: int | None,
    num_kv: int,
    interpret: Any = False,
) -> tuple[Array, Array, Array]:
    """(dq_BKEN, dk_BKSE, dv_BKES) in `dtype`: keys' gradients per QUERY head.

    steps: of `steps.backward_steps` with the same blocks. lse in natural log. num_kv: keys
    that count; the gradients of those after them are zeros.
    """
    B, K, E, N = q_BKEN.shape
    G, S = k_BGSE.shape[1:3]
    grid = Grid(B=B, K=K, R=K // G, heads=blocks.heads, steps=steps)
    q_spec, row_spec = (grid.tokens(Q, (rows, blocks.q), 1) for rows in (E, 1))
    keys_spec = functools.partial(grid.tokens, KV, buffers=blocks.buffers)
    inputs: Inputs = {
        "q": (q_BKEN, q_spec),
        "do": (do_BKEN, q_spec),
        "k": (k_BGSE, keys_spec((blocks.kv, E), 0, keys=True)),
        "v": (v_BGES, keys_spec((E, blocks.kv), 1, keys=True)),
        "lse": (lse_BK1N, row_spec),
        "di": (di_BK1N, row_spec),
        **grid.masks(mask, blocks.q, blocks.kv),
    }
    scratch = _scratch(inputs, grid, blocks, round_up(N, blocks.q))
    kernel = functools.partial(
        _kernel,
        names=(*inputs, "dq_out", "dk_out", "dv_out", *scratch),
        grid=grid,
        sizes=(N, num_kv),
        bounds=() if mask is None else mask.bounds,
        scale=scale,
        blocks=blocks,
        interpret=bool(interpret),
    )
    return pl.pallas_call(
        kernel,
        name="attention_backward",
        grid_spec=pltpu.PrefetchScalarGridSpec(
            num_scalar_prefetch=4,
            grid=grid.shape,
            in_specs=[spec for _, spec in inputs.values()],
            out_specs=[
                grid.tokens(DQ, (E, blocks.q), 1),
                keys_spec((blocks.kv, E), 0),
                keys_spec((E, blocks.kv), 1),
            ],
            scratch_shapes=list(scratch.values()),
        ),
        out_shape=[
            jax.ShapeDtypeStruct(shape, dtype)
            for shape in ((B, K, E, N), (B, K, S, E), (B, K, E, S))
        ],
        compiler_params=pltpu.CompilerParams(
            dimension_semantics=("parallel", "parallel", "arbitrary"),
            vmem_limit_bytes=vmem_bytes,
            disable_bounds_checks=True,
        ),
        interpret=interpret,
        metadata=grid.metadata(
            steps_.backward_steps(None, N, num_kv, blocks.q, blocks.kv, padded=S),
            (steps_.FIRST, steps_.DQ_FIRST, steps_.LAST, steps_.DQ_LAST),
        ),
    )(*grid.lists, *(x for x, _ in inputs.values()))


def _scratch(inputs: Inputs, grid: Grid, blocks: Blocks, num_q: int) -> dict[str, Any]:
    """dq of a head, dk and dv of the block, V and K^T; of all heads, the keys' features."""
    k, v = inputs["k"][0], inputs["v"][0]
    E = k.shape[3]
    a_head = {
        "dq": ((E, num_q), F32),
        "dk": ((E, blocks.kv), F32),
        "dv": ((E, blocks.kv), F32),
        "v_turned": ((blocks.kv, E), v.dtype),
        "k_turned": ((E, blocks.kv), k.dtype),
    }
    scratch = {
        name: pltpu.VMEM((grid.heads, *shape), kind)
        for name, (shape, kind) in a_head.items()
    }
    if "kv_mask" in inputs:
        num_features = inputs["kv_mask"][0].shape[1]
        columns = (num_features, blocks.kv, LANES)
        scratch[KV_COLUMNS] = pltpu.VMEM(columns, jnp.int32)
    return scratch


def _kernel(
    *refs,
    names: tuple[str, ...],
    grid: Grid,
    sizes: tuple[int, int],
    bounds: tuple[Bound, ...],
    scale: float,
    blocks: Blocks,
    interpret: bool,
):
    """One grid step, on what `_scratch` holds."""
    step = Step(grid, refs[:4], dict(zip(names, refs[4:], strict=True)))
    left_q, left_kv = (
        size - at * block if size % block else None
        for size, at, block in zip(
            sizes, (step.q_block, step.kv_block), (blocks.q, blocks.kv), strict=True
        )
    )
    queries = pl.ds(pl.multiple_of(step.q_block * blocks.q, blocks.q), blocks.q)
    add_block = functools.partial(
        _block,
        queries=queries,
        bounds=bounds,
        left_q=left_q,
        left_kv=left_kv,
        num_kv=sizes[1],
        factor=scale * LOG2_E,
        blocks=blocks,
        interpret=interpret,
    )
    step.when(steps_.FIRST, functools.partial(_start_keys, left=left_kv))
    if KV_COLUMNS in names:
        step.when_once(steps_.FIRST, write_columns)
    step.when(steps_.DQ_FIRST, functools.partial(_start_queries, queries=queries))
    step.dispatch(add_block)
    step.when(steps_.LAST, functools.partial(_finish_keys, scale=scale))
    step.when(
        steps_.DQ_LAST, functools.partial(_finish_queries, queries=queries, scale=scale)
    )


def _start_keys(refs, left: Array | None):
    """No dk and dv yet; the transposes of the block's keys and values."""
    for name in ("dk", "dv"):
        refs[name][...] = jnp.zeros_like(refs[name])
    k, v = refs["k"][...], refs["v"][...]
    if left is not None:  # what lies beyond the last key is not a number
        k, v = zero_beyond(k, left, 0), zero_beyond(v, left, 1)
    refs["k_turned"][...], refs["v_turned"][...] = k.T, v.T


def _start_queries(refs, queries):
    """No dq yet."""
    num_rows = refs["dq"].shape[0]
    refs["dq"][:, queries] = jnp.zeros((num_rows, queries.size), F32)


def _finish_keys(refs, scale: float):
    """Writes dk and dv of the block."""
    dk_ref, dv_ref = refs["dk_out"], refs["dv_out"]
    dk_ref[...] = (refs["dk"][...].T * scale).astype(dk_ref.dtype)
    dv_ref[...] = refs["dv"][...].astype(dv_ref.dtype)


def _finish_queries(refs, queries, scale: float):
    """Writes dq of the block."""
    dq_ref = refs["dq_out"]
    dq_ref[...] = (refs["dq"][:, queries] * scale).astype(dq_ref.dtype)


def _block(
    refs,
    masked: bool,
    *,
    queries,
    bounds,
    left_q,
    left_kv,
    num_kv,
    factor,
    blocks: Blocks,
    interpret: bool,
):
    """Adds one block's five products, `step` keys at a time.

    Three stages per inner step, each a step behind the one before it in program order, so
    that the matrix unit always has work whose operands are ready: the two products of
    scores; what is elementwise; the three products that contract it.
    """
    q_EN, do_EN, lse_1N, di_1N = _queries(refs, left_q)
    dtype, dq_EN = q_EN.dtype, refs["dq"][:, queries]
    turn = functools.partial(_turn, dtype=dtype, interpret=interpret)
    q_turned_EN, do_turned_EN = (
        turn(x.astype(F32)).astype(F32).T.astype(dtype) for x in (q_EN, do_EN)
    )

    def products(i):
        keys = blocks.part(i)
        return dot(refs["k"][keys, :], q_EN), dot(refs["v_turned"][keys, :], do_EN)

    def elementwise(i, s_SN, dp_SN):
        s_SN = s_SN if factor == 1.0 else s_SN * factor
        if masked:
            tail = None if left_kv is None else left_kv - i * blocks.step
            inside = attends(refs, blocks.part(i), bounds, tail, s_SN.shape)
            s_SN = jnp.where(inside, s_SN, EXCLUDED)
            # However large its value is: p = 0 times an infinity is not a number.
            dp_SN = jnp.where(inside, dp_SN, 0.0)
        p_SN = jnp.exp2(s_SN - lse_1N)
        ds_SN = p_SN * (dp_SN - di_1N)
        return turn(p_SN), turn(ds_SN), ds_SN.astype(dtype)

    def contract(i, p_NS, ds_NS, ds_SN):
        keys = blocks.part(i)
        refs["dv"][:, keys] += dot(do_turned_EN, p_NS)
        refs["dk"][:, keys] += dot(q_turned_EN, ds_NS)
        return dot(refs["k_turned"][:, keys], ds_SN)

    num = num_inner(blocks, num_kv, only_tail=masked and not bounds)
    ahead = products(0)
    behind = None
    for i in range(num + 1):
        now, ahead = ahead, products(i + 1) if i + 1 < num else None
        tile = elementwise(i, *now) if now is not None else None
        if behind is not None:
            dq_EN = dq_EN + contract(i - 1, *behind)
        behind = tile
    refs["dq"][:, queries] = dq_EN


def _queries(refs, left: Array | None) -> tuple[Array, Array, Array, Array]:
    """(q_EN, do_EN, lse_1N in base 2, di_1N), such that absent queries give p = ds = 0."""
    q_EN, do_EN, lse_1N, di_1N = (refs[name][...] for name in ("q", "do", "lse", "di"))
    lse_1N = lse_1N * LOG2_E
    if left is None:
        return q_EN, do_EN, lse_1N, di_1N
    q_EN, do_EN, di_1N = (zero_beyond(x, left, 1) for x in (q_EN, do_EN, di_1N))
    absent_1N = jax.lax.broadcasted_iota(jnp.int32, lse_1N.shape, 1) >= left
    return q_EN, do_EN, jnp.where(absent_1N, -EMPTY, lse_1N), di_1N


def _turn(x_SN: Array, dtype: Any, interpret: bool) -> Array:
    """x^T in `dtype`, its rows in an order of their own: the same for every x.

    bfloat16: one 32-bit transpose carries two queries a word, one from each half of the
    block. Written as a transpose of bfloat16, it would become a transposing push of the
    matrix unit's weights, at half speed.
    """
    if dtype != jnp.bfloat16:
        return x_SN.astype(dtype).T
    half = x_SN.shape[1] // 2
    pair = x_SN[:, :half], x_SN[:, half:]
    if interpret:  # the CPU has no such instruction
        words = jnp.stack(pair, -1).astype(dtype)
        words = jax.lax.bitcast_convert_type(words, jnp.uint32)
        return (
            jax.lax.bitcast_convert_type(words.T, dtype)
            .swapaxes(1, 2)
            .reshape(2 * half, -1)
        )
    return pltpu.bitcast(pltpu.pack_elementwise(pair, packed_dtype=dtype).T, dtype)
