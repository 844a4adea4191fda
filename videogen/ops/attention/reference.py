"""The definition of attention, in plain JAX. Every implementation answers to it.

    scores  s[n, j] = scale * <q[n], k[j]>           float32
    output  o[n] = sum_j softmax_j(s[n, j]) v[j]     over the keys attended, else 0

Which query attends which key is the mask's word (`mask.py`). Query head h reads key/value
head h // (K / G). Memory grows as N * S.

A score that is not attended becomes MASKED, and the maximum of a row never falls below
EMPTY, half of it, so that no infinity meets the value or the gradient of a row without keys.

A key whose k or v is not finite makes NaN of every query that attends it, and of nothing
else: its score is NaN, and in products it stands as zero, for 0 * NaN is NaN.
"""

import jax
import jax.numpy as jnp

from videogen.core.types import Array
from videogen.ops.attention.local import EMPTY
from videogen.ops.attention.mask import Mask

MASKED = 2 * EMPTY


def attention(
    q_BKEN: Array, k_BGSE: Array, v_BGES: Array, mask: Mask | None, *, scale: float
) -> Array:
    """o_BKEN in the dtype of q, computed in float32 throughout."""
    B, K, E, N = q_BKEN.shape
    G = k_BGSE.shape[1]
    q_BGREN = q_BKEN.reshape(B, G, K // G, E, N)
    q, k, v = (x.astype(jnp.float32) for x in (q_BGREN, k_BGSE, v_BGES))
    fine_BGS = jnp.isfinite(k).all(axis=3) & jnp.isfinite(v).all(axis=2)
    k = jnp.where(fine_BGS[..., None], k, 0)
    v = jnp.where(fine_BGS[:, :, None], v, 0)
    high = jax.lax.Precision.HIGHEST
    s_BGRNS = scale * jnp.einsum("BGREN,BGSE->BGRNS", q, k, precision=high)
    s_BGRNS = jnp.where(fine_BGS[:, :, None, None], s_BGRNS, jnp.nan)
    attends = True if mask is None else mask.attends()[:, None, None]
    s_BGRNS = jnp.where(attends, s_BGRNS, MASKED)
    top = jnp.max(s_BGRNS, axis=-1, keepdims=True, initial=EMPTY)
    p_BGRNS = jnp.exp(s_BGRNS - jax.lax.stop_gradient(top))
    total_BGRN1 = jnp.sum(p_BGRNS, axis=-1, keepdims=True)
    p_BGRNS = p_BGRNS / jnp.where(total_BGRN1 != 0, total_BGRN1, 1.0)
    p_BGRNS = jnp.where(attends, p_BGRNS, 0.0)
    o_BGREN = jnp.einsum("BGRNS,BGES->BGREN", p_BGRNS, v, precision=high)
    return o_BGREN.reshape(q_BKEN.shape).astype(q_BKEN.dtype)
