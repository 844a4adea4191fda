"""How large the scores can be, from norms: which mode of the forward kernel is safe.

Scores here are in base 2: s = c q.k with c = scale * log2 e. By Cauchy-Schwarz
|s[n, j]| <= b[n] = c |q[n]| max_j |k[j]|. Float32 and bfloat16 hold 2^-126 to 2^127, and
what is added up is p v: with p <= 2^L, of up to 2^24 keys, nothing overflows if
L = min(100, 102 - log2 max |v|).

    none     needs max_n b[n] <= L: then 2^-100 <= p <= 2^L.
    bounded  p = exp2(s - m) with m[n] = b[n] - L, so p <= 2^L again. The largest p of a row
             must not underflow: the largest score is at least the mean score, which is
             c q[n].mean_j k[j] (only where the row attends every key), so it suffices that
             b[n] - c q[n].mean_j k[j] <= L + 60; then it is at least 2^-60. In float32 b and
             s differ by 2^-22 b or so, hence b <= 2^20.
    online   otherwise: p <= 1.

With a mask the mean says nothing about the keys a row attends, and without it "bounded"
proves no more than "none". Who promises a bound is not asked about v, so less is taken on
trust: up to 2^PROMISED.
"""

import jax.numpy as jnp

from videogen.core.types import Array
from videogen.ops.attention.local import Extent
from videogen.ops.attention.pallas_tpu.blocks import LOG2_E

LARGEST = 100.0  # log2 of the largest p, if values are small
PROMISED = 60.0  # log2 of the largest p that a promised bound may lead to
ROOM = 102.0  # log2 of the largest p |v| of which 2^24 can be added up
DEEPEST = 60.0  # log2 of 1 / the largest p of a row, at the least
ROUNDABLE = 2.0**20  # bounds from which a score differs by less than 1 for rounding


def largest(extent: Extent) -> Array:
    """log2 of the largest p that is safe, L above; a scalar, float32."""
    value = jnp.maximum(extent.value_BG.max(), 1.0)
    return jnp.minimum(LARGEST, ROOM - jnp.log2(value))


def row_bound(q_BKEN: Array, scale: float, extent: Extent) -> Array:
    """bound_BKN in base 2: no score of the row is larger in magnitude."""
    norm_BG = extent.key_norm_BG
    num_groups = q_BKEN.shape[1] // norm_BG.shape[1]
    norm_BK1 = jnp.repeat(norm_BG, num_groups, axis=1)[:, :, None]
    squares = jnp.square(q_BKEN.astype(jnp.float32))
    return abs(scale) * LOG2_E * jnp.sqrt(jnp.sum(squares, axis=2)) * norm_BK1


def row_mean(q_BKEN: Array, k_BGSE: Array, scale: float) -> Array:
    """mean_BKN of the row's scores over all keys, base 2, float32."""
    num_groups = q_BKEN.shape[1] // k_BGSE.shape[1]
    mean_BGE = jnp.mean(k_BGSE, axis=2, dtype=jnp.float32)
    mean_BKE1 = jnp.repeat(mean_BGE, num_groups, axis=1)[..., None]
    return scale * LOG2_E * jnp.sum(q_BKEN * mean_BKE1, axis=2)
