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
from flax import nnx
from jaxtyping import Float

from videogen.core.errors import ConfigError
from videogen.core.types import Array
from videogen.nn.linear import INITS

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
    coords_N4: Float[Tensor, "*B N 4"],
    split: Triple,
    theta: float | tuple[float, float, float] = 1e4,
) -> tuple[Float[Array, "*B N E"], Float[Array, "*B N E"]]:
    """(cos, sin) of every number's angle, which it shares with its pair, in float32.

    theta: one, or one for each of frame, row and column (NTK scaling).
    Frequencies are rounded once, from float64: at coordinate 1000 an angle is off by less
    than 1e-4.
    """
    coords_N4 = _runtime(coords_N4)
    thetas = theta if isinstance(theta, tuple) else (theta,) * 3
    angles_NE = jnp.concatenate(
        [
            coords_N4[..., axis, None] * np.repeat(_frequencies(dim, thetas[axis]), 2)
            for axis, dim in enumerate(split)
        ],
        axis=-1,
    )
    return jnp.cos(angles_NE), jnp.sin(angles_NE)


def ntk_thetas(
    split: Triple, factors: tuple[float, float, float], theta: float = 1e4
) -> tuple[float, float, float]:
    """theta factor^(d / (d - 2)) per axis: NTK-aware scaling.

    Of an axis of d dims the slowest pair turns `factor` times slower, the fastest as before.
    """
    t, h, w = (
        theta * factor ** (dim / max(dim - 2, 1))
        for dim, factor in zip(split, factors, strict=True)
    )
    return t, h, w


def fractional_rope(
    coords_N4: Float[Tensor, "*B N 4"],
    width: int,
    num_heads: int,
    scale: tuple[float, float, float],
    base: tuple[float, float, float],
    theta: float = 1e4,
    fps: float = 25.0,
) -> tuple[Float[Array, "b K N E"], Float[Array, "b K N E"]]:
    """LTX-Video's (cos, sin): over the full width, of fractions (arXiv 2501.00103).

    A token's fraction of an axis is coordinate * scale / base, of the frame also over its
    fps (`fps` where it is unknown); it turns by (pi/2) theta^(i / (D/6 - 1)) (2 fraction - 1).
    Numbers run over i, within it over (frame, row, column); what 6 does not divide comes
    first, unturned.
    """
    coords_N4 = _runtime(coords_N4)
    num = width // 6
    rates = (np.pi / 2) * theta ** np.linspace(0.0, 1.0, num)
    fps_N = jnp.where(coords_N4[..., 3] > 0, coords_N4[..., 3], fps)
    units_N3 = jnp.stack(
        [scale[0] / fps_N, *(fps_N * 0 + x for x in scale[1:])], axis=-1
    )
    signed_N3 = 2.0 * coords_N4[..., :3] * units_N3 / jnp.asarray(base) - 1.0
    angles = signed_N3[..., None, :] * rates.astype(np.float32)[:, None]
    angles = jnp.repeat(angles.reshape(*angles.shape[:-2], -1), 2, axis=-1)
    pad = [(0, 0)] * (angles.ndim - 1) + [(width - 6 * num, 0)]
    angles_ND = jnp.pad(angles, pad)
    angles_NKE = angles_ND.reshape(*angles_ND.shape[:-1], num_heads, -1)
    angles_KNE = jnp.swapaxes(angles_NKE, -3, -2)
    if angles_KNE.ndim == 3:
        angles_KNE = angles_KNE[None]
    return jnp.cos(angles_KNE), jnp.sin(angles_KNE)


class LearnedPositions(nnx.Module):
    """The sum of three learned vectors: of a token's frame, row and column."""

    def __init__(self, sizes: Triple, width: int, *, rngs: nnx.Rngs):
        self.sizes = sizes
        tables = [INITS["normal"](rngs.params(), (size, width)) for size in sizes]
        self.frames, self.rows, self.columns = map(nnx.Param, tables)

    def __call__(self, coords_N4: Float[Tensor, "*B N 4"]) -> Float[Array, "*B N D"]:
        """float32. ConfigError for a known grid beyond the tables; NaN for others."""
        if isinstance(coords_N4, np.ndarray):
            self.check(coords_N4)
        places = jnp.asarray(coords_N4).astype(jnp.int32)
        tables = (self.frames, self.rows, self.columns)
        vectors = [
            jnp.take(table[...], places[..., axis], axis=0, mode="fill")
            for axis, table in enumerate(tables)
        ]
        return vectors[0] + vectors[1] + vectors[2]

    def check(self, coords_N4: Float[np.ndarray, "*B N 4"]) -> None:
        """ConfigError for coordinates beyond the tables."""
        most = coords_N4.reshape(-1, 4).max(0)
        for axis, name in enumerate(("frames", "rows", "columns")):
            if most[axis] >= self.sizes[axis]:
                raise ConfigError(
                    f"{int(most[axis]) + 1} {name} of tokens, but the learned table of "
                    f"positions holds {self.sizes[axis]}: model.position_sizes"
                )


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
