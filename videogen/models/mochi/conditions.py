"""What the network is told: time and a text."""

from flax import nnx
from jaxtyping import Bool, Float

from videogen.core.types import Array
from videogen.models.mochi.config import MochiConfig
from videogen.nn.linear import Linear
from videogen.nn.pool import AttentionPool
from videogen.nn.timestep import TimestepEmbedding


class ConditionEmbedder(nnx.Module):
    """(time, text) -> (c_BD float32, text_BLY in config.dtype): c is of time and all text."""

    def __init__(self, config: MochiConfig, rngs: nnx.Rngs):
        self.config = config
        width, text_dim = config.width, config.text_dim
        self.timestep_embedder = TimestepEmbedding(config.freq_dim, width, rngs=rngs)
        self.pooler = AttentionPool(text_dim, config.pool_heads, width, rngs=rngs)
        self.caption_proj = Linear(
            text_dim, config.text_width, init="normal", rngs=rngs
        )

    def __call__(
        self,
        t_B: Float[Array, "B"],
        text_BLX: Float[Array, "B L X"],
        text_mask_BL: Bool[Array, "B L"] | None,
    ) -> tuple[Float[Array, "B D"], Float[Array, "B L Y"]]:
        # Mochi was trained on a time whose 1 is data.
        c_BD = self.timestep_embedder(1.0 - t_B) + self.pooler(text_BLX, text_mask_BL)
        return c_BD, self.caption_proj(text_BLX.astype(self.config.dtype))
