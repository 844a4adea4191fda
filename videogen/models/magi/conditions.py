"""What the network is told: time and text."""

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Bool, Float

from videogen.core.errors import ConfigError
from videogen.core.types import Array
from videogen.models.magi.config import MagiConfig
from videogen.nn.linear import INITS, Linear
from videogen.nn.timestep import TimestepEmbedding


class ConditionEmbedder(nnx.Module):
    """(t, text) -> (c of the gates, float32; text_BLD in config.dtype; its mask).

    A text without a true mask is a dropped one: the learned caption takes its place. Of the
    learned caption, the last token tells the gates that the text was dropped, the one
    before it that it was not, as in the release.
    """

    def __init__(self, config: MagiConfig, rngs: nnx.Rngs):
        self.config = config
        text_dim, condition_dim = config.text_dim, config.condition_dim
        self.time_embedder = TimestepEmbedding(
            config.freq_dim, condition_dim, rngs=rngs
        )
        self.text_embedder = Linear(text_dim, config.width, rngs=rngs)
        self.pooled_embedder = Linear(text_dim, condition_dim, rngs=rngs)
        null_shape = config.null_tokens, text_dim
        self.null_text = nnx.Param(INITS["normal"](rngs.params(), null_shape))

    def __call__(
        self,
        t_B: Float[Array, "B *N"],
        text_BLX: Float[Array, "B L X"],
        text_mask_BL: Bool[Array, "B L"] | None,
    ) -> tuple[
        Float[Array, "B *N c"], Float[Array, "B L D"], Bool[Array, "B L"] | None
    ]:
        dtype = jnp.dtype(self.config.dtype)
        text_BLX, mask_BL, dropped_B = self._with_null(text_BLX, text_mask_BL)
        text_BLD = jax.nn.silu(self.text_embedder(text_BLX.astype(dtype)))
        told_BX = self.null_text[...][jnp.where(dropped_B, -1, -2)]
        pooled_Bc = self.pooled_embedder(told_BX)
        time_Bc = self.time_embedder(1.0 - t_B if self.config.reverse_time else t_B)
        c_Bc = time_Bc + (pooled_Bc if t_B.ndim == 1 else pooled_Bc[:, None])
        return c_Bc, text_BLD, mask_BL

    def _with_null(
        self, text_BLX: Array, mask_BL: Array | None
    ) -> tuple[Array, Array | None, Array]:
        """(text, mask, dropped_B), the learned caption in the stead of dropped ones."""
        length = text_BLX.shape[1]
        if length > self.config.null_tokens:
            raise ConfigError(
                f"model.null_tokens={self.config.null_tokens} for texts of {length}"
            )
        if mask_BL is None:
            return text_BLX, None, jnp.zeros(len(text_BLX), bool)
        dropped_B = ~mask_BL.any(axis=1)
        null_LX = self.null_text[...][:length]
        text_BLX = jnp.where(dropped_B[:, None, None], null_LX, text_BLX)
        null_L = jnp.arange(length) < self.config.null_attended
        return text_BLX, jnp.where(dropped_B[:, None], null_L, mask_BL), dropped_B
