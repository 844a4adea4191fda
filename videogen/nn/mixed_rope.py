"""Rotary embedding of learned frequencies that mix the axes, each head its own (Mochi).

Pair i of head k turns by the angle frame f_0ki + row f_1ki + column f_2ki, the frequencies f
being parameters (RoPE-Mixed, arXiv 2403.13298, section 3.2, in three dimensions). Rows and
columns are measured from the middle of the frame, in a unit that makes every frame's area
the same: place i of n is (i + 1/2 - n/2) sqrt(area / (rows columns)).
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from videogen.core.types import Array
from videogen.nn.position import Tensor, Triple, grid_coordinates


def centred_coordinates(grid: Triple, area: float) -> Float[np.ndarray, "N 4"]:
    """coords_N4 of a full grid of tokens, known while tracing; fps is 0."""
    coords_N4 = grid_coordinates(grid)
    rows_columns = np.array(grid[1:])
    unit = np.sqrt(area / rows_columns.prod())
    middle_2 = (rows_columns - 1) / 2
    coords_N4[:, 1:3] = (coords_N4[:, 1:3] - middle_2) * unit
    return coords_N4


def mixed_rope(
    coords_N4: Float[Tensor, "*B N 4"], frequencies_3KP: Float[Array, "3 K P"]
) -> tuple[Float[Array, "b K N E"], Float[Array, "b K N E"]]:
    """(cos, sin) of every number's angle, which it shares with its pair, in float32."""
    places = jnp.asarray(coords_N4, jnp.float32)[..., :3]
    angles = jnp.einsum(
        "bNa,aKP->bKNP",
        places.reshape(-1, *places.shape[-2:]),
        frequencies_3KP,
        precision="highest",
    )
    angles = jnp.repeat(angles, 2, axis=-1)
    return jnp.cos(angles), jnp.sin(angles)


def first_frequencies(
    num_heads: int, head_dim: int, key: Array, theta: float = 1e4
) -> Float[Array, "3 K P"]:
    """What to learn from: the rotary frequencies, each along a direction of its own."""
    directions = jax.random.normal(key, (3, num_heads, head_dim // 2))
    directions /= jnp.linalg.norm(directions, axis=0)
    return directions * theta ** (-jnp.arange(0, head_dim, 2) / head_dim)
