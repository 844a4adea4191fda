"""What the network is told: time, text, frames per second."""

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Bool, Float

from videogen.core.errors import ConfigError
from videogen.core.types import Array
from videogen.models.factorised.config import FactorisedConfig
from videogen.nn.adaln_single import SharedModulation
from videogen.nn.text import TextProjection
from videogen.nn.timestep import TimestepEmbedding


class ConditionEmbedder(SharedModulation):
    """Time, fps -> (time_BD, mod_B6D), float32; the text in config.dtype, and its mask."""

    def __init__(self, config: FactorisedConfig, rngs: nnx.Rngs):
        width, freq_dim = config.width, config.freq_dim
        super().__init__(width, freq_dim, rngs=rngs)
        self.config = config
        self.text_embedder = TextProjection(config.text_dim, width, rngs=rngs)
        self.fps_embedder = (
            TimestepEmbedding(freq_dim, width, scale=1.0, rngs=rngs)
            if config.embeds_fps
            else None
        )

    def __call__(
        self,
        t_B: Float[Array, "B *F"],
        text_BLX: Float[Array, "B L X"],
        text_mask_BL: Bool[Array, "B L"] | None,
        fps_B: Float[Array, "B"] | None,
    ) -> tuple[Array, Array, Array, Array | None]:
        time_BD, mod_BJD = self.modulation(t_B, self._fps(t_B, fps_B))
        text_BLD = self.text_embedder(text_BLX.astype(jnp.dtype(self.config.dtype)))
        mask_BL = text_mask_BL if self.config.mask_text else None
        return time_BD, mod_BJD, text_BLD, mask_BL

    def _fps(self, t_B: Array, fps_B: Array | None) -> Array | None:
        if self.fps_embedder is None:
            return None
        if fps_B is None:
            raise ConfigError("model.embeds_fps needs fps_B in the batch")
        fps_BD = self.fps_embedder(fps_B)
        return fps_BD if t_B.ndim == 1 else fps_BD[:, None]
