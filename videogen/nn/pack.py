"""Rows of packed clips: whose each token is, and where in its clip it stands.

Segment ids count clips from 1. Tokens after the last clip are a segment of their own, so
that they attend nobody and nobody attends them; texts' padding is segment 0, which is
nobody's.
"""

import jax.numpy as jnp
from jaxtyping import Float, Int

from videogen.core.types import Array
from videogen.parallel.constrain import constrain


def places(
    grid_BR3: Int[Array, "B R 3"], num_tokens: int, fps_BR: Array | None = None
) -> tuple[Int[Array, "B N"], Float[Array, "B N 4"]]:
    """(segments_BN, coords_BN4) of clips of those (frames, rows, columns) in a row."""
    ends_BR = jnp.cumsum(jnp.prod(grid_BR3, axis=-1), axis=-1)
    place_N = jnp.arange(num_tokens)
    clip_BN = jnp.sum(place_N[None, :, None] >= ends_BR[:, None, :], axis=-1)
    starts_BR = jnp.pad(ends_BR, ((0, 0), (1, 0)))
    local_BN = place_N - jnp.take_along_axis(starts_BR, clip_BN, axis=1)
    local_BN = jnp.where(place_N < ends_BR[:, -1:], local_BN, 0)  # within any table
    grid_BN3 = of_tokens(grid_BR3, clip_BN + 1)
    rows, columns = (jnp.maximum(grid_BN3[..., i], 1) for i in (1, 2))
    coords = [local_BN // (rows * columns), local_BN // columns % rows]
    coords.append(local_BN % columns)
    fps_BN = 0 * local_BN if fps_BR is None else of_tokens(fps_BR, clip_BN + 1)
    coords_BN4 = jnp.stack([x.astype(jnp.float32) for x in (*coords, fps_BN)], axis=-1)
    return clip_BN + 1, coords_BN4


def of_tokens(values_BR: Array, segments_BN: Int[Array, "B N"]) -> Array:
    """(B, N, ...): each token's clip's values; of no clip, the last one's."""
    index_BN = jnp.minimum(segments_BN - 1, values_BR.shape[1] - 1)
    shape = (*index_BN.shape, *(1,) * (values_BR.ndim - 2))
    return jnp.take_along_axis(values_BR, index_BN.reshape(shape), axis=1)


def spread(vectors_BRD: Array, segments_BN: Int[Array, "B N"]) -> Array:
    """`of_tokens`, cut over devices as tokens are."""
    return constrain(of_tokens(vectors_BRD, segments_BN), "batch tokens features")
