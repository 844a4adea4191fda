"""How large the scores can be, from norms: which mode of the forward kernel is safe.

Scores here are in base 2: s = c q.k with c = scale * log2 e. By Cauchy-Schwarz
|s[n, j]| <= b[n] = c |q[n]| max_j |k[j]|. Float32 and bfloat16 hold 2^-126 to 2^127.

    none     needs max_n b[n] <= 100: then 2^-100 <= p <= 2^100, and 2^24 keys still sum.
    bounded  p = exp2(s - m) with m[n] = b[n] - 100, so p <= 2^100 again. The largest p of a
             row must not underflow: the largest score is at least the mean score, which
             is c q[n].mean_j k[j] (only where the row attends every key), so it suffices
             that b[n] - c q[n].mean_j k[j] <= 160; then it is at least 2^-60.
    online   otherwise.

With a mask the mean says nothing about the keys a row attends, and without it "bounded"
proves no more than "none".
"""

import jax.numpy as jnp

from videogen.core.types import Array
from videogen.ops.attention.pallas_tpu.blocks import LOG2_E

LARGEST = 100.0  # log2 of the largest p
DEEPEST = 160.0  # how far, in log2, the largest score of a row may lie below its bound


def row_bound(
    q_BKEN: Array, k_BGSE: Array, scale: float, key_norm_BG: Array | None
) -> Array:
    """bound_BKN in base 2: no score of the row is larger in magnitude."""
    if key_norm_BG is None:
        key_norm_BG = key_norm(k_BGSE)
    num_groups = q_BKEN.shape[1] // k_BGSE.shape[1]
    key_norm_BK1 = jnp.repeat(key_norm_BG, num_groups, axis=1)[:, :, None]
    return abs(scale) * LOG2_E * _norm(q_BKEN, 2) * key_norm_BK1


def row_mean(q_BKEN: Array, k_BGSE: Array, scale: float) -> Array:
    """mean_BKN of the row's scores over all keys, base 2, float32."""
    num_groups = q_BKEN.shape[1] // k_BGSE.shape[1]
    mean_BGE = jnp.mean(k_BGSE, axis=2, dtype=jnp.float32)
    mean_BKE1 = jnp.repeat(mean_BGE, num_groups, axis=1)[..., None]
    return scale * LOG2_E * jnp.sum(q_BKEN * mean_BKE1, axis=2)


def key_norm(k_BGSE: Array) -> Array:
    """The greatest norm of a key, per batch row and key head: norm_BG, float32."""
    return jnp.max(_norm(k_BGSE, 3), axis=2)


def _norm(x: Array, dim: int) -> Array:
    return jnp.sqrt(jnp.sum(jnp.square(x.astype(jnp.float32)), axis=dim))
