"""What the network is told: time, texts, an image."""

from typing import Any

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Bool, Float

from videogen.core.errors import ConfigError
from videogen.core.types import Array
from videogen.models.cross.config import CrossConfig
from videogen.nn.adaln_single import SharedModulation
from videogen.nn.text import make_projection


class ConditionEmbedder(SharedModulation):
    """Time -> (time_BD, mod_B6D), float32; all texts -> text_BLD in config.dtype, its mask.

    Blocks with a modulation of their own get time_BD, not mod_B6D.
    """

    def __init__(self, config: CrossConfig, rngs: nnx.Rngs):
        width = config.width
        own = config.modulation == "own"
        super().__init__(width, config.freq_dim, own=own, rngs=rngs)
        self.config = config
        self.text_embedder = make_projection(
            config.text_projection, config.text_dim, width, rngs=rngs
        )
        for name, dim in config.more_texts:
            kind = config.more_text_projection
            setattr(
                self, f"{name}_embedder", make_projection(kind, dim, width, rngs=rngs)
            )

    def __call__(
        self,
        t_B: Float[Array, "B *N"],
        text_BLX: Float[Array, "B L X"],
        text_mask_BL: Bool[Array, "B L"] | None,
        **conditions: Any,
    ) -> tuple[Array, Array, Array, Array | None]:
        time_BD, mod_BJD = self.modulation(t_B)
        texts, masks = [("text", text_BLX)], [text_mask_BL]
        for name, _ in self.config.more_texts:
            if conditions.get(f"{name}_BLX") is None:
                raise ConfigError(f"model.more_text_dims needs {name}_BLX in the batch")
            texts.append((name, conditions[f"{name}_BLX"]))
            masks.append(conditions.get(f"{name}_mask_BL"))
        text_BLD = jnp.concatenate(
            [
                getattr(self, f"{name}_embedder")(x.astype(self.config.dtype))
                for name, x in texts
            ],
            axis=1,
        )
        if not self.config.mask_text or all(mask is None for mask in masks):
            return time_BD, mod_BJD, text_BLD, None
        whole = [
            jnp.ones(x.shape[:2], bool) if mask is None else mask
            for (_, x), mask in zip(texts, masks, strict=True)
        ]
        return time_BD, mod_BJD, text_BLD, jnp.concatenate(whole, axis=1)
