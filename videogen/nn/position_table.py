"""A learned vector for every place of one grid and of a text: positions without structure."""

import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Float

from videogen.core.errors import ConfigError
from videogen.core.types import Array
from videogen.nn.position import Tensor, Triple


class PositionTable(nnx.Module):
    """Rows of the text's places, then of the grid's: frames, then rows, then columns.

    They start at zero, as in CogVideoX-5B-I2V, the only model known to have them.
    """

    def __init__(self, sizes: Triple, text_length: int, width: int):
        self.sizes, self.text_length = sizes, text_length
        self.table = nnx.Param(jnp.zeros((text_length + int(np.prod(sizes)), width)))

    def __call__(self, coords_N4: Float[Tensor, "*B N 4"]) -> Float[Array, "*B N D"]:
        """float32. ConfigError for a known grid beyond the table; NaN for others."""
        if isinstance(coords_N4, np.ndarray):
            self._check(coords_N4)
        places_N3 = jnp.asarray(coords_N4)[..., :3].astype(jnp.int32)
        frame, row, column = jnp.moveaxis(places_N3, -1, 0)
        known = ((places_N3 >= 0) & (places_N3 < jnp.asarray(self.sizes))).all(-1)
        at = (frame * self.sizes[1] + row) * self.sizes[2] + column + self.text_length
        at = jnp.where(known, at, len(self.table[...]))  # beyond the last: filled
        return jnp.take(self.table[...], at, axis=0, mode="fill")

    def text(self, length: int) -> Float[Array, "L D"]:
        """Vectors of the first `length` text tokens. ConfigError if there are fewer."""
        if length > self.text_length:
            raise ConfigError(
                f"{length} text tokens, but the learned table of positions holds "
                f"{self.text_length}: model.position_text"
            )
        return self.table[...][:length]

    def _check(self, coords_N4: np.ndarray) -> None:
        most = coords_N4.reshape(-1, 4).max(0)
        for axis, name in enumerate(("frames", "rows", "columns")):
            if most[axis] >= self.sizes[axis]:
                raise ConfigError(
                    f"{int(most[axis]) + 1} {name} of tokens, but the learned table of "
                    f"positions holds {self.sizes[axis]}: model.position_sizes"
                )
