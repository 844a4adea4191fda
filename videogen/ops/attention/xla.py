"""Attention in memory linear in the tokens, as plain XLA: any backend, any shape.

Keys and values go by in chunks of J; queries stay whole, so they may be sharded over batch,
tokens and heads and XLA partitions every line without a hint. With the running maximum m,
sum l and unnormalised output o of the chunks so far (Milakov & Gimelshein 2018), a chunk
with scores s updates

    m' = max(m, max_j s),  p = exp(s - m'),  c = exp(m - m')
    l' = c l + sum_j p,    o' = c o + p v            and at the end o / l, L = m + log l.

The backward pass keeps only o and the logsumexp L, and recomputes p = exp(s - L), whose
relative error is the rounding of L (0.1 % at logits of 1e4):

    dv = p^T do,  D = sum_e do o,  ds = scale * p * (do v^T - D),  dq = ds k,  dk = ds^T q.

Matrix products take the inputs' dtype and accumulate in float32; the rest is float32.
Letters here: R = K / G query heads per key/value head, J keys of one chunk.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax.ad_checkpoint import checkpoint_name

from videogen.core.types import Array
from videogen.ops.attention.reference import FLOOR, group_heads, mask_scores

_einsum = partial(jnp.einsum, preferred_element_type=jnp.float32)


@partial(jax.custom_vjp, nondiff_argnums=(5, 6))
def attention(
    q_BNKE: Array,
    k_BSGE: Array,
    v_BSGE: Array,
    q_segments_BN: Array | None,
    kv_segments_BS: Array | None,
    scale: float,
    kv_chunk: int,
) -> Array:
    """o_BNKE in the dtype of q. Reverse-mode derivatives only.

    Under `jax.checkpoint`, saving the names "attention_o" and "attention_lse" spares the
    backward pass the whole forward pass.
    """
    kv = (k_BSGE, v_BSGE, kv_segments_BS)
    o_BNKE, _ = _forward(q_BNKE, kv, q_segments_BN, scale, kv_chunk)
    return o_BNKE


def _forward_rule(q, k, v, q_segments, kv_segments, scale, kv_chunk):
    o, lse = _forward(q, (k, v, kv_segments), q_segments, scale, kv_chunk)
    o = checkpoint_name(o, "attention_o")
    lse = checkpoint_name(lse, "attention_lse")
    return o, (q, k, v, q_segments, kv_segments, o, lse)


def _forward(q_BNKE, kv, q_segments_BN, scale, kv_chunk):
    q_BNGRE = group_heads(q_BNKE, kv[0])
    B, N, G, R, E = q_BNGRE.shape

    def add_chunk(carry, chunk):
        m_BGRN, l_BGRN, o_BGRNE = carry
        k_BJGE, v_BJGE, kv_segments_BJ = chunk
        s_BGRNJ = scale * _einsum("BNGRE,BJGE->BGRNJ", q_BNGRE, k_BJGE)
        s_BGRNJ = mask_scores(s_BGRNJ, q_segments_BN, kv_segments_BJ)
        top_BGRN = jnp.maximum(m_BGRN, jnp.max(s_BGRNJ, axis=-1, initial=FLOOR))
        p_BGRNJ = jnp.exp(s_BGRNJ - top_BGRN[..., None])
        decay_BGRN = jnp.exp(m_BGRN - top_BGRN)
        l_BGRN = decay_BGRN * l_BGRN + jnp.sum(p_BGRNJ, axis=-1)
        pv_BGRNE = _einsum("BGRNJ,BJGE->BGRNE", p_BGRNJ.astype(v_BJGE.dtype), v_BJGE)
        return (top_BGRN, l_BGRN, decay_BGRN[..., None] * o_BGRNE + pv_BGRNE), None

    zeros = jnp.zeros((B, G, R, N, E), jnp.float32)
    start = (jnp.full((B, G, R, N), FLOOR), jnp.zeros((B, G, R, N)), zeros)
    (m_BGRN, l_BGRN, o_BGRNE), _ = _over_chunks(add_chunk, start, kv, kv_chunk)
    # A row without keys has l = 0: its output is 0, and L = 0 makes p = 0 in the backward.
    l_or_1_BGRN = jnp.where(l_BGRN > 0, l_BGRN, 1.0)
    lse_BGRN = jnp.where(l_BGRN > 0, m_BGRN + jnp.log(l_or_1_BGRN), 0.0)
    o_BNGRE = jnp.moveaxis(o_BGRNE / l_or_1_BGRN[..., None], 3, 1)
    return o_BNGRE.reshape(q_BNKE.shape).astype(q_BNKE.dtype), lse_BGRN


def _backward_rule(scale, kv_chunk, saved, do_BNKE):
    q_BNKE, k_BSGE, v_BSGE, q_segments_BN, kv_segments_BS, o_BNKE, lse_BGRN = saved
    q_BNGRE, o_BNGRE, do_BNGRE = (
        group_heads(x, k_BSGE) for x in (q_BNKE, o_BNKE, do_BNKE)
    )
    delta_BGRN = _einsum("BNGRE,BNGRE->BGRN", do_BNGRE, o_BNGRE)

    def add_chunk(dq_BNGRE, chunk):
        k_BJGE, v_BJGE, kv_segments_BJ = chunk
        s_BGRNJ = scale * _einsum("BNGRE,BJGE->BGRNJ", q_BNGRE, k_BJGE)
        s_BGRNJ = mask_scores(s_BGRNJ, q_segments_BN, kv_segments_BJ)
        p_BGRNJ = jnp.exp(s_BGRNJ - lse_BGRN[..., None])
        dp_BGRNJ = _einsum("BNGRE,BJGE->BGRNJ", do_BNGRE, v_BJGE)
        ds_BGRNJ = scale * p_BGRNJ * (dp_BGRNJ - delta_BGRN[..., None])
        p_BGRNJ, ds_BGRNJ = p_BGRNJ.astype(q_BNKE.dtype), ds_BGRNJ.astype(q_BNKE.dtype)
        dv_BJGE = _einsum("BGRNJ,BNGRE->BJGE", p_BGRNJ, do_BNGRE)
        dk_BJGE = _einsum("BGRNJ,BNGRE->BJGE", ds_BGRNJ, q_BNGRE)
        dq_BNGRE = dq_BNGRE + _einsum("BGRNJ,BJGE->BNGRE", ds_BGRNJ, k_BJGE)
        return dq_BNGRE, (dk_BJGE.astype(k_BJGE.dtype), dv_BJGE.astype(v_BJGE.dtype))

    start = jnp.zeros(q_BNGRE.shape, jnp.float32)
    kv = (k_BSGE, v_BSGE, kv_segments_BS)
    dq_BNGRE, (dk_BSGE, dv_BSGE) = _over_chunks(add_chunk, start, kv, kv_chunk)
    dq_BNKE = dq_BNGRE.reshape(q_BNKE.shape).astype(q_BNKE.dtype)
    return dq_BNKE, dk_BSGE, dv_BSGE, None, None


attention.defvjp(_forward_rule, _backward_rule)


def _over_chunks(step: Callable, carry: Any, kv: Any, kv_chunk: int) -> tuple[Any, Any]:
    """Fold `step` over chunks of dim 1: whole chunks in one scan, then what is left.

    The rest is a shorter chunk of its own: nothing is padded and so nothing is masked.
    """
    S = jax.tree.leaves(kv)[0].shape[1]
    if S <= kv_chunk:
        return step(carry, kv)
    whole = S - S % kv_chunk

    def split(x):
        x = x[:, :whole].reshape(x.shape[0], -1, kv_chunk, *x.shape[2:])
        return jnp.moveaxis(x, 1, 0)

    def join(x):
        return jnp.moveaxis(x, 0, 1).reshape(x.shape[1], whole, *x.shape[3:])

    carry, out = jax.lax.scan(step, carry, jax.tree.map(split, kv))
    out = jax.tree.map(join, out)
    if whole == S:
        return carry, out
    carry, rest = step(carry, jax.tree.map(lambda x: x[:, whole:], kv))
    return carry, jax.tree.map(lambda a, b: jnp.concatenate([a, b], 1), out, rest)
