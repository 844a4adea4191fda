"""Where a token is: coordinates per token, and what is computed from them.

Every token carries (frame, row, column, fps), counted in tokens; fps is 0 where unknown.
Nothing is derived from array shapes, so packed, windowed and factorised attention share
all of this. Leading dims are free: coords_N4 for one grid, coords_BN4 for packs.

Rotary embedding (Su et al. 2021), in three parts: a head's E dims are cut into parts for
frame, row and column. In a part of size d, pair i turns by the angle
coordinate * theta^(-2i/d), and pairs are neighbours (2i, 2i+1): the interleaved layout.
Rotations of q and k by the same shift cancel in q.k, so scores see only differences.
"""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from videogen.core.types import Array

Triple = tuple[int, int, int]


def grid_coordinates(grid: Triple, fps: float = 0.0) -> Float[Array, "N 4"]:
    """coords_N4 of a full grid of (frames, rows, columns) tokens."""
    axes = [jnp.arange(size, dtype=jnp.float32) for size in grid]
    frame, row, column = jnp.meshgrid(*axes, indexing="ij")
    coords = jnp.stack([frame, row, column, jnp.full_like(frame, fps)], axis=-1)
    return coords.reshape(-1, 4)


def rope_split(head_dim: int) -> Triple:
    """Dims for (frame, row, column), Wan's rule: 128 -> (44, 42, 42). E must be even."""
    spatial = 2 * (head_dim // 6)
    return head_dim - 2 * spatial, spatial, spatial


def rope(
    coords_N4: Float[Array, "*B N 4"], split: Triple, theta: float = 1e4
) -> tuple[Float[Array, "*B N R"], Float[Array, "*B N R"]]:
    """(cos, sin) of every pair's angle, R = E/2, in float32.

    Frequencies are rounded once, from float64: at coordinate 1000 an angle is off by less
    than 1e-4. Shapes broadcast in `rotate`.
    """
    angles_NR = jnp.concatenate(
        [
            coords_N4[..., axis, None] * _frequencies(dim, theta)
            for axis, dim in enumerate(split)
        ],
        axis=-1,
    )
    return jnp.cos(angles_NR), jnp.sin(angles_NR)


def rotate(
    x_BNKE: Float[Array, "B N K E"],
    cos_NR: Float[Array, "*b N R"],
    sin_NR: Float[Array, "*b N R"],
) -> Float[Array, "B N K E"]:
    """x with each pair (2i, 2i+1) of each head turned, in float32, cast back."""
    pairs = x_BNKE.astype(jnp.float32).reshape(*x_BNKE.shape[:-1], -1, 2)
    even, odd = pairs[..., 0], pairs[..., 1]
    cos, sin = cos_NR[..., None, :], sin_NR[..., None, :]  # the same for every head
    turned = jnp.stack([even * cos - odd * sin, even * sin + odd * cos], axis=-1)
    return turned.reshape(x_BNKE.shape).astype(x_BNKE.dtype)


def sincos_split(width: int) -> Triple:
    """Dims for (frame, row, column), CogVideoX's rule: a quarter in time, the rest space."""
    spatial = 2 * (3 * width // 16)
    return width - 2 * spatial, spatial, spatial


def sincos(
    coords_N4: Float[Array, "*B N 4"], split: Triple, theta: float = 1e4
) -> Float[Array, "*B N D"]:
    """Additive embedding: per axis, sines then cosines, in float32. A split may hold 0."""
    parts = []
    for axis, dim in enumerate(split):
        angles = coords_N4[..., axis, None] * _frequencies(dim, theta)
        parts += [jnp.sin(angles), jnp.cos(angles)]
    return jnp.concatenate(parts, axis=-1)


def _frequencies(dim: int, theta: float) -> np.ndarray:
    assert dim % 2 == 0, f"a rotary or sincos part of {dim} dims has no pairs"
    return (theta ** (-np.arange(0, dim, 2) / max(dim, 1))).astype(np.float32)
