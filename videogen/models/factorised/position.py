"""Where tokens are, as the network is told: at the input, in the trunk, by rotation."""

import jax.numpy as jnp
from jaxtyping import Float

from videogen.core.types import Array
from videogen.models.factorised.config import FactorisedConfig
from videogen.nn.attention import Rotation
from videogen.nn.groups import Fold, Groups, grid_sizes
from videogen.nn.position import Tensor, rope, rope_split, sincos


def input_position(
    config: FactorisedConfig, coords_N4: Float[Tensor, "*b N 4"]
) -> Array | None:
    """Sincos of (column, row), half of the width each, in both releases in this order.

    A grid of h rows and w columns is stretched to s x s, s = position_base: row r is at
    r s / h. Open-Sora says so with numbers it rounds, by which s becomes
    s round(sqrt(h w)) / sqrt(h w) (v1.2.0, stdit3.py, PositionEmbedding2D).
    """
    if config.position == "rope":
        return None
    _, rows, columns = map(jnp.asarray, grid_sizes(coords_N4))
    size = config.position_base
    if config.position == "sincos_rope":
        side = jnp.sqrt(rows * columns)
        size = size * jnp.round(side) / side
    row, column = (
        coords_N4[..., 1] * (size / rows),
        coords_N4[..., 2] * (size / columns),
    )
    nothing = jnp.zeros_like(row)
    places = jnp.stack([nothing, column, row, nothing], axis=-1)
    return sincos(places, (0, config.width // 2, config.width // 2))


def frame_position(
    config: FactorisedConfig, coords_N4: Float[Tensor, "*b N 4"]
) -> Array | None:
    """Sincos of the frame, for Latte's first temporal block; an image has none."""
    if config.position != "sincos":
        return None
    is_video = jnp.asarray(grid_sizes(coords_N4)[0])[..., None] > 1
    return is_video * sincos(coords_N4, (config.width, 0, 0))


def rotation(
    config: FactorisedConfig,
    name: str | None,
    groups: Groups | None,
    coords_N4: Float[Tensor, "*b N 4"],
) -> Rotation | None:
    """Of a block whose tokens attend in groups of this name; None for no groups."""
    if config.position == "rope":
        split = config.rope_split or rope_split(config.head_dim)
        return rope(coords_N4, split, config.rope_theta)
    if config.position != "sincos_rope" or name != "temporal":
        return None
    if isinstance(groups, Fold):
        coords_N4 = coords_N4[:: groups.count]  # the first place: all turn alike
    return rope(coords_N4, (config.head_dim, 0, 0), config.rope_theta)
