"""The definition of attention, in plain JAX. Every implementation answers to it.

    scores  s[n, j] = scale * <q[n], k[j]>           float32
    row     n attends j iff q_segment[n] == kv_segment[j]
    output  o[n] = sum_j softmax_j(s[n, j]) v[j]     over the keys attended, else 0

Query head h reads key/value head h // (K / G). Memory grows as N * S.

A score that is not attended becomes MASKED, and the running maximum of a row never falls
below FLOOR, half of it. So exp(MASKED - maximum) is exactly 0 whether or not the row has
a key, and neither the value nor the gradient ever sees an infinity.
"""

import jax
import jax.numpy as jnp

from videogen.core.types import Array

MASKED = -0.7 * float(jnp.finfo(jnp.float32).max)
FLOOR = 0.5 * MASKED


def attention(
    q_BNKE: Array,
    k_BSGE: Array,
    v_BSGE: Array,
    q_segments_BN: Array | None,
    kv_segments_BS: Array | None,
    *,
    scale: float,
) -> Array:
    """o_BNKE in the dtype of q, computed in float32 throughout."""
    q, k, v = (
        x.astype(jnp.float32) for x in (group_heads(q_BNKE, k_BSGE), k_BSGE, v_BSGE)
    )
    high = jax.lax.Precision.HIGHEST
    s_BGRNS = scale * jnp.einsum("BNGRE,BSGE->BGRNS", q, k, precision=high)
    s_BGRNS = mask_scores(s_BGRNS, q_segments_BN, kv_segments_BS)
    top = jnp.max(s_BGRNS, axis=-1, keepdims=True, initial=FLOOR)
    p_BGRNS = jnp.exp(s_BGRNS - jax.lax.stop_gradient(top))
    total_BGRN1 = jnp.sum(p_BGRNS, axis=-1, keepdims=True)
    p_BGRNS = p_BGRNS / jnp.where(total_BGRN1 > 0, total_BGRN1, 1.0)
    o_BNGRE = jnp.einsum("BGRNS,BSGE->BNGRE", p_BGRNS, v, precision=high)
    return o_BNGRE.reshape(q_BNKE.shape).astype(q_BNKE.dtype)


def group_heads(q_BNKE: Array, k_BSGE: Array) -> Array:
    """q_BNGRE: the R = K / G query heads that share each key/value head, together."""
    B, N, K, E = q_BNKE.shape
    G = k_BSGE.shape[2]
    return q_BNKE.reshape(B, N, G, K // G, E)


def mask_scores(
    s_BGRNS: Array, q_segments_BN: Array | None, kv_segments_BS: Array | None
) -> Array:
    """Scores, with MASKED wherever the segments of query and key differ."""
    if q_segments_BN is None or kv_segments_BS is None:
        return s_BGRNS
    attends_BNS = q_segments_BN[:, :, None] == kv_segments_BS[:, None, :]
    return jnp.where(attends_BNS[:, None, None], s_BGRNS, MASKED)
