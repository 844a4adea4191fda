"""Attention across rows on the TPU: each lane is a place, each row of a group one token of it.

A group's rows (frames) are few, its places many. With places in lanes, numbers of a head in
sublanes, a score is a product of two registers summed over sublanes, and what a place
attends lies in its own lane: nothing is padded, nothing is moved. The vector units do all
of it, in float32; the matrix units would fill 16 of their 128 rows.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.experimental import pallas as pl
from jax.experimental.pallas import tpu as pltpu

from videogen.core.types import Array
from videogen.ops.attention.pallas_tpu.blocks import LANES, LOG2_E

F32 = jnp.float32


def forward(
    q_BKEN: Array, k_BKEN: Array, v_BKEN: Array, rows: int, scale: float, **run: Any
) -> Array:
    """o_BKEN in the dtype of q: of each `rows` rows of the batch, n attends n.

    run: vmem_bytes, interpret.
    """
    kernel = functools.partial(_forward, factor=scale * LOG2_E)
    return _call(kernel, "forward", (q_BKEN, k_BKEN, v_BKEN), rows, 1, 2, **run)[0]


def backward(
    q_BKEN: Array,
    k_BKEN: Array,
    v_BKEN: Array,
    do_BKEN: Array,
    rows: int,
    scale: float,
    **run: Any,
) -> tuple[Array, ...]:
    """dq, dk and dv, from the scores made again; as `forward`."""
    kernel = functools.partial(_backward, scale=scale)
    operands = q_BKEN, k_BKEN, v_BKEN, do_BKEN
    return _call(kernel, "backward", operands, rows, 3, 4, **run)


def _call(
    kernel: Callable[..., None],
    name: str,
    operands: tuple[Array, ...],
    rows: int,
    num_out: int,
    num_scratch: int,
    *,
    vmem_bytes: int | None,
    interpret: Any,
) -> tuple[Array, ...]:
    """A grid step has one head of a group, at as many places as there are lanes."""
    B, K, E, N = operands[0].shape
    spec = pl.BlockSpec((rows, 1, E, LANES), lambda b, k, n: (b, k, 0, n))
    shape = jax.ShapeDtypeStruct((B, K, E, N), operands[0].dtype)
    out = pl.pallas_call(
        kernel,
        name=f"attention_across_{name}",
        grid=(B // rows, K, pl.cdiv(N, LANES)),
        in_specs=[spec] * len(operands),
        out_specs=[spec] * num_out,
        out_shape=[shape] * num_out,
        scratch_shapes=[pltpu.VMEM((rows, E, LANES), F32)] * num_scratch,
        compiler_params=pltpu.CompilerParams(
            dimension_semantics=("parallel",) * 3,
            vmem_limit_bytes=vmem_bytes,
            disable_bounds_checks=True,
        ),
        interpret=interpret,
    )(*operands)
    return tuple(out)


def _forward(q_ref, k_ref, v_ref, o_ref, k_FEN, v_FEN, *, factor: float):
    """Scratch: k and v in float32."""
    k_FEN[...], v_FEN[...] = k_ref[:, 0].astype(F32), v_ref[:, 0].astype(F32)
    frames = range(k_FEN.shape[0])

    def attend(f, _):
        q_EN = q_ref[f, 0].astype(F32) * factor
        p = _softmax([_over_head(q_EN * k_FEN[g]) for g in frames])
        o_EN: Any = sum(p[g] * v_FEN[g] for g in frames)
        o_ref[f, 0] = o_EN.astype(o_ref.dtype)

    jax.lax.fori_loop(0, len(frames), attend, None)


def _backward(*refs, scale: float):
    """With P the probabilities and dP = v do: dS = P (dP - sum P dP), dq = k dS, dk = q dS."""
    q_ref, k_ref, v_ref, do_ref, dq_ref, dk_ref, dv_ref, *scratch = refs
    k_FEN, v_FEN, dk_FEN, dv_FEN = scratch
    k_FEN[...], v_FEN[...] = k_ref[:, 0].astype(F32), v_ref[:, 0].astype(F32)
    dk_FEN[...], dv_FEN[...] = jnp.zeros_like(dk_FEN), jnp.zeros_like(dv_FEN)
    frames = range(k_FEN.shape[0])

    def attend(f, _):
        q_EN, do_EN = q_ref[f, 0].astype(F32), do_ref[f, 0].astype(F32)
        s_EN = q_EN * (scale * LOG2_E)
        p = _softmax([_over_head(s_EN * k_FEN[g]) for g in frames])
        dp = [_over_head(do_EN * v_FEN[g]) for g in frames]
        mean = sum(p[g] * dp[g] for g in frames)
        dq_EN = jnp.zeros_like(q_EN)
        for g in frames:
            ds = scale * p[g] * (dp[g] - mean)
            dq_EN += ds * k_FEN[g]
            dk_FEN[g] += ds * q_EN
            dv_FEN[g] += p[g] * do_EN
        dq_ref[f, 0] = dq_EN.astype(dq_ref.dtype)

    jax.lax.fori_loop(0, len(frames), attend, None)
    dk_ref[:, 0] = dk_FEN[...].astype(dk_ref.dtype)
    dv_ref[:, 0] = dv_FEN[...].astype(dv_ref.dtype)


def _over_head(x_EN: Array) -> Array:
    return jnp.sum(x_EN, axis=0, keepdims=True)


def _softmax(scores: list[Array]) -> list[Array]:
    """Of scores in base 2, a row of lanes each."""
    top = functools.reduce(jnp.maximum, scores)
    p = [jnp.exp2(s - top) for s in scores]
    norm = 1.0 / functools.reduce(jnp.add, p)
    return [x * norm for x in p]
