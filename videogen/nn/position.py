"""Where a token is: coordinates per token, and what is computed from them.

Every token carries (frame, row, column, fps), counted in tokens; fps is 0 where unknown.
Nothing is derived from array shapes, so packed, windowed and factorised attention share
all of this. Leading dims are free: coords_N4 for one grid, coords_BN4 for packs.

Rotary embedding (Su et al. 2021), in three parts: a head's E dims are cut into parts for
frame, row and column. In a part of size d, pair i turns by the angle
coordinate * theta^(-2i/d), and pairs are neighbours (2i, 2i+1): the interleaved layout.
Rotations of q and k by the same shift cancel in q.k, so scores see only differences.

A head x turns as x cos + (J x) sin, elementwise but for J, which turns each pair by a right
angle: (x0, x1) -> (-x1, x0). J x is a product with an E x E matrix of zeros and ones, exact
in any dtype: on a TPU, whose vector unit has no cheap way to swap neighbours, it costs a
tenth of what shuffling does, and it reads the same for heads that lie along any dim.
"""

from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from videogen.core.types import Array

Triple = tuple[int, int, int]
Tensor = Array | np.ndarray  # NumPy: known while tracing


def grid_coordinates(grid: Triple, fps: float = 0.0) -> Float[np.ndarray, "N 4"]:
    """coords_N4 of a full grid of (frames, rows, columns) tokens, known while tracing."""
    places = np.indices(grid, np.float32).reshape(3, -1).T
    return np.pad(places, ((0, 0), (0, 1)), constant_values=fps)


def rope_split(head_dim: int) -> Triple:
    """Dims for (frame, row, column), Wan's rule: 128 -> (44, 42, 42). E must be even."""
    spatial = 2 * (head_dim // 6)
    return head_dim - 2 * spatial, spatial, spatial


def rope(
    coords_N4: Float[Tensor, "*B N 4"], split: Triple, theta: float = 1e4
) -> tuple[Float[Array, "*B N E"], Float[Array, "*B N E"]]:
    """(cos, sin) of every number's angle, which it shares with its pair, in float32.

    Frequencies are rounded once, from float64: at coordinate 1000 an angle is off by less
    than 1e-4.
    """
    coords_N4 = _runtime(coords_N4)
    angles_NE = jnp.concatenate(
        [
            coords_N4[..., axis, None] * np.repeat(_frequencies(dim, theta), 2)
            for axis, dim in enumerate(split)
        ],
        axis=-1,
    )
    return jnp.cos(angles_NE), jnp.sin(angles_NE)


def rotate(
    x: Float[Array, "..."],
    cos: Float[Array, "..."],
    sin: Float[Array, "..."],
    *,
    dim: Literal[-1, -2] = -1,
) -> Float[Array, "..."]:
    """x with each pair (2i, 2i+1) along `dim` turned, in float32, cast back.

    cos and sin, of `rope`, broadcast against x.
    """
    size = x.shape[dim]
    turn = np.zeros((size, size))
    even = np.arange(0, size, 2)
    turn[even + 1, even], turn[even, even + 1] = -1, 1
    turned = jnp.einsum(
        "...E,EF->...F" if dim == -1 else "...EN,EF->...FN",
        x,
        turn.astype(x.dtype),
        precision="highest" if x.dtype == jnp.float32 else None,
    )
    return (x.astype(jnp.float32) * cos + turned.astype(jnp.float32) * sin).astype(
        x.dtype
    )


def sincos_split(width: int) -> Triple:
    """Dims for (frame, row, column), CogVideoX's rule: a quarter in time, the rest space."""
    spatial = 2 * (3 * width // 16)
    return width - 2 * spatial, spatial, spatial


def sincos(
    coords_N4: Float[Tensor, "*B N 4"], split: Triple, theta: float = 1e4
) -> Float[Array, "*B N D"]:
    """Additive embedding: per axis, sines then cosines, in float32. A split may hold 0."""
    coords_N4 = _runtime(coords_N4)
    parts = []
    for axis, dim in enumerate(split):
        angles = coords_N4[..., axis, None] * _frequencies(dim, theta)
        parts += [jnp.sin(angles), jnp.cos(angles)]
    return jnp.concatenate(parts, axis=-1)


def _runtime(coords_N4: Tensor) -> Array:
    """The same; XLA would otherwise take every cosine of a known grid while compiling."""
    return jax.lax.optimization_barrier(jnp.asarray(coords_N4))


def _frequencies(dim: int, theta: float) -> np.ndarray:
    assert dim % 2 == 0, f"a rotary or sincos part of {dim} dims has no pairs"
    return (theta ** (-np.arange(0, dim, 2) / max(dim, 1))).astype(np.float32)
