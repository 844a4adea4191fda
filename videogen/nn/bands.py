"""Rotary embedding by learned frequencies, of centred and scaled coordinates (MAGI-1).

With n = E // 8 bands b, learned and shared by frame, row and column, 6 n of a head's E
numbers turn: pair (axis, i) by the angle coordinate_axis * b_i. The rest stay. Bands start
as b_i = theta^(-i / n). Pairs are neighbours, as in `position.rope`.

Rows and columns count from the middle of the grid and are scaled so that grids of all sizes
span as much as one of `base` x `base` tokens: with s = sqrt(H W) / base, the row r is at

    (r - (H - 1) / 2) (H / s - 1) / (H - 1).

arXiv 2505.13211, section 2; SandAI-org/MAGI-1, inference/model/dit.
"""

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Float

from videogen.core.types import Array
from videogen.nn.position import Tensor, Triple, grid_coordinates

AXES = 3


def centred_coordinates(grid: Triple, base: float = 16.0) -> Float[np.ndarray, "N 4"]:
    """coords_N4 of a full grid, known while tracing; frames are counted from 0, unscaled."""
    coords_N4 = grid_coordinates(grid)
    scale = np.sqrt(grid[1] * grid[2]) / base
    for axis in (1, 2):
        size = grid[axis]
        coords_N4[:, axis] -= (size - 1) / 2
        if size > 1:
            coords_N4[:, axis] *= (size / scale - 1) / (size - 1)
    return coords_N4


class RotaryBands(nnx.Module):
    """(cos, sin) of every number's angle; see the module's docstring."""

    def __init__(self, head_dim: int, theta: float = 1e4):
        num = head_dim // 8
        self.head_dim = head_dim
        self.bands = nnx.Param(
            jnp.asarray(theta ** -(np.arange(num) / num), jnp.float32)
        )

    def __call__(
        self, coords_N4: Float[Tensor, "*B N 4"]
    ) -> tuple[Float[Array, "*B N E"], Float[Array, "*B N E"]]:
        # The barrier: XLA would take every cosine of known angles while compiling.
        coords_N4 = jax.lax.optimization_barrier(jnp.asarray(coords_N4))
        angles = coords_N4[..., :AXES, None] * self.bands[...]
        angles = jnp.repeat(angles.reshape(*angles.shape[:-2], -1), 2, axis=-1)
        still = [(0, 0)] * (angles.ndim - 1) + [(0, self.head_dim - angles.shape[-1])]
        angles_NE = jnp.pad(angles, still)
        return jnp.cos(angles_NE), jnp.sin(angles_NE)
