"""What the network is told: a vector that modulates, and tokens that are attended.

The vector is MLP(t) + MLP(guidance) + MLP(pooled caption). The token refiner
(HunyuanVideo, arXiv 2412.03603, section 4.2.1) lets the tokens of a decoder's text attend
each other both ways:

    c = MLP(t) + MLP(mean of the text);    x = Linear(text)
    (gate, gate') = Linear(silu(c));       x += gate * attn(norm1(x))
                                           x += gate' * ff(norm2(x))
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Bool, Float, Int

from videogen.core.errors import ConfigError
from videogen.core.types import Array
from videogen.models.joint.config import JointConfig
from videogen.nn.attention import SelfAttention
from videogen.nn.image import ImageProjection
from videogen.nn.linear import INITS, Linear
from videogen.nn.mlp import ACTIVATIONS, MLP
from videogen.nn.modulation import ModulationMLP, chunks, gated_add
from videogen.nn.norm import LayerNorm
from videogen.nn.stack import make_stack, run_stack
from videogen.nn.timestep import TimestepEmbedding
from videogen.ops.attention.api import AttentionPlan
from videogen.parallel.constrain import constrain

# The text is short, and whole on every device.
TEXT_PLAN = AttentionPlan(implementation="xla")


class ConditionEmbedder(nnx.Module):
    """All conditions -> (vector_BD float32, text_BLD in config.dtype, its mask or None)."""

    def __init__(self, config: JointConfig, rngs: nnx.Rngs):
        self.config = config
        width, text_dim = config.width, config.text_dim
        sizes = config.freq_dim, width, config.pooled_dim
        self.time_text_embed = VectorEmbedder(*sizes, config.guidance, rngs=rngs)
        self.context_embedder = (
            TokenRefiner(config, rngs)
            if config.text_projection == "refiner"
            else Linear(text_dim, width, init="normal", rngs=rngs)
        )
        for i, (_, dim) in enumerate(config.more_texts):
            projection = DeepProjection(dim, config.more_text_width, width, rngs=rngs)
            setattr(self, f"context_embedder_{i + 2}", projection)
        image_dim = config.image_dim
        self.image_embedder = (
            ImageProjection(image_dim, width, rngs=rngs) if image_dim else None
        )
        kinds = 1 + len(config.more_text_dims) + bool(image_dim)
        self.cond_type_embed = (
            nnx.Param(INITS["normal"](rngs.params(), (kinds, width)))
            if kinds > 1
            else None
        )

    def vector(self, t_B: Float[Array, "B"], **conditions: Any) -> Float[Array, "B D"]:
        """What modulates the blocks."""
        pooled_BX, guidance_B = map(conditions.get, ("pooled_BX", "guidance_B"))
        if self.config.pooled_dim and pooled_BX is None:
            raise ConfigError(
                f"model.pooled_dim={self.config.pooled_dim} needs pooled_BX in the batch"
            )
        if self.config.guidance and guidance_B is None:
            raise ConfigError("model.guidance=True needs guidance_B in the batch")
        return self.time_text_embed(t_B, pooled_BX, guidance_B)

    def clean_vector(
        self, t_B: Float[Array, "B"], **conditions: Any
    ) -> Float[Array, "B D"]:
        """The same for clean tokens: t = 0, and no guidance."""
        return self.time_text_embed(jnp.zeros_like(t_B), conditions.get("pooled_BX"))

    def tokens(
        self,
        t_B: Float[Array, "B"],
        text_BLX: Float[Array, "B L X"],
        text_mask_BL: Bool[Array, "B L"] | None,
        **conditions: Any,
    ) -> tuple[Array, Array | None]:
        """(text_BLD, mask_BL or None) of all encoders, one after the other."""
        dtype = self.config.dtype
        masks = [text_mask_BL if self.config.mask_text else None]
        if isinstance(self.context_embedder, TokenRefiner):
            found = [self.context_embedder(text_BLX.astype(dtype), t_B, masks[0])]
        else:
            found = [self.context_embedder(text_BLX.astype(dtype))]
        for i, (name, _) in enumerate(self.config.more_texts):
            more_BLX = conditions.get(f"{name}_BLX")
            if more_BLX is None:
                raise ConfigError(f"model.more_text_dims needs {name}_BLX in the batch")
            project = getattr(self, f"context_embedder_{i + 2}")
            found.append(project(more_BLX.astype(dtype)))
            masks.append(conditions.get(f"{name}_mask_BL"))
        image_BLX = conditions.get("image_BLX")
        if self.image_embedder is not None and image_BLX is not None:
            found.append(self.image_embedder(image_BLX.astype(dtype)))
            masks.append(given_image(image_BLX))
        if self.cond_type_embed is not None:
            kinds_JD = self.cond_type_embed[...].astype(dtype)
            found = [x_BLD + kinds_JD[i] for i, x_BLD in enumerate(found)]
        text_BLD = constrain(jnp.concatenate(found, axis=1), "batch text features")
        if all(mask is None for mask in masks):
            return text_BLD, None
        whole = [
            jnp.ones(x.shape[:2], bool) if mask is None else mask
            for x, mask in zip(found, masks, strict=True)
        ]
        return text_BLD, jnp.concatenate(whole, axis=1)


def given_image(image_BLX: Float[Array, "B I Y"]) -> Bool[Array, "B I"]:
    """False for samples whose image is all zeros: they have none."""
    is_given_B = jnp.any(image_BLX != 0, axis=(1, 2))
    return jnp.broadcast_to(is_given_B[:, None], image_BLX.shape[:2])


class VectorEmbedder(nnx.Module):
    """The sum of MLPs of t, of the guidance and of a pooled vector, float32."""

    def __init__(
        self,
        freq_dim: int,
        width: int,
        pooled_dim: int,
        guidance: bool = False,
        *,
        rngs: nnx.Rngs,
    ):
        self.timestep_embedder = TimestepEmbedding(freq_dim, width, rngs=rngs)
        self.guidance_embedder = (
            TimestepEmbedding(freq_dim, width, rngs=rngs) if guidance else None
        )
        self.text_embedder = (
            PooledProjection(pooled_dim, width, rngs=rngs) if pooled_dim else None
        )

    def __call__(
        self,
        t_B: Float[Array, "B"],
        pooled_BX: Float[Array, "B X"] | None = None,
        guidance_B: Float[Array, "B"] | None = None,
    ) -> Float[Array, "B D"]:
        vector_BD = self.timestep_embedder(t_B)
        if self.guidance_embedder is not None and guidance_B is not None:
            vector_BD += self.guidance_embedder(guidance_B)
        if self.text_embedder is not None and pooled_BX is not None:
            vector_BD += self.text_embedder(pooled_BX.astype(jnp.float32))
        return vector_BD


class PooledProjection(nnx.Module):
    """linear_2(silu(linear_1(vector)))."""

    def __init__(self, pooled_dim: int, width: int, *, rngs: nnx.Rngs):
        self.linear_1 = Linear(pooled_dim, width, init="normal", rngs=rngs)
        self.linear_2 = Linear(width, width, init="normal", rngs=rngs)

    def __call__(self, pooled_BX: Float[Array, "B X"]) -> Float[Array, "B D"]:
        return self.linear_2(jax.nn.silu(self.linear_1(pooled_BX)))


class DeepProjection(nnx.Module):
    """norm, then three linear layers with GELU between: HunyuanVideo-1.5's, of ByT5."""

    def __init__(self, text_dim: int, inner: int, width: int, *, rngs: nnx.Rngs):
        self.norm = LayerNorm(text_dim, eps=1e-5)
        self.linear_1 = Linear(text_dim, inner, rngs=rngs)
        self.linear_2 = Linear(inner, inner, rngs=rngs)
        self.linear_3 = Linear(inner, width, rngs=rngs)

    def __call__(self, text_BLX: Float[Array, "B L X"]) -> Float[Array, "B L D"]:
        gelu = ACTIVATIONS["gelu"]
        h_BLX = gelu(self.linear_1(self.norm(text_BLX)))
        return self.linear_3(gelu(self.linear_2(h_BLX)))


class TokenRefiner(nnx.Module):
    """See the module's docstring. Padding is a segment of its own."""

    def __init__(self, config: JointConfig, rngs: nnx.Rngs):
        self.remat = config.remat
        width, text_dim = config.width, config.text_dim
        sizes = config.freq_dim, width, text_dim
        self.time_text_embed = VectorEmbedder(*sizes, rngs=rngs)
        self.proj_in = Linear(text_dim, width, rngs=rngs)
        make_block = functools.partial(RefinerBlock, config)
        self.refiner_blocks = make_stack(make_block, config.refiner_depth, rngs)

    def __call__(
        self,
        text_BLX: Float[Array, "B L X"],
        t_B: Float[Array, "B"],
        text_mask_BL: Bool[Array, "B L"] | None,
    ) -> Float[Array, "B L D"]:
        vector_BD = self.time_text_embed(t_B, masked_mean(text_BLX, text_mask_BL))
        segments_BL = None if text_mask_BL is None else text_mask_BL.astype(jnp.int32)
        return run_stack(
            self.refiner_blocks,
            lambda block, x: block(x, vector_BD, segments_BL),
            constrain(self.proj_in(text_BLX), "batch text features"),
            remat=self.remat,
        )


class RefinerBlock(nnx.Module):
    """Self-attention and MLP, whose gates are modulated and whose norms are not."""

    def __init__(self, config: JointConfig, rngs: nnx.Rngs):
        width = config.width
        self.norm1 = LayerNorm(width)
        attention = {"tokens": "text", "plan": TEXT_PLAN, "rngs": rngs}
        self.attn = SelfAttention(width, config.num_heads, **attention)
        self.norm2 = LayerNorm(width)
        self.ff = MLP(width, config.mlp_width, activation="silu", rngs=rngs)
        self.norm_out = ModulationMLP(width, 2, rngs=rngs)

    def __call__(
        self,
        x_BLD: Float[Array, "B L D"],
        vector_BD: Float[Array, "B D"],
        segments_BL: Int[Array, "B L"] | None,
    ) -> Float[Array, "B L D"]:
        gate, ff_gate = chunks(self.norm_out(vector_BD))
        branch_BLD = self.attn(self.norm1(x_BLD), segments_BN=segments_BL)
        x_BLD = gated_add(x_BLD, branch_BLD, gate)
        x_BLD = gated_add(x_BLD, self.ff(self.norm2(x_BLD)), ff_gate)
        return constrain(x_BLD, "batch text features")


def masked_mean(
    x_BLX: Float[Array, "B L X"], mask_BL: Bool[Array, "B L"] | None
) -> Float[Array, "B X"]:
    """The mean over tokens, float32; zeros where there is none."""
    x_BLX = x_BLX.astype(jnp.float32)
    if mask_BL is None:
        return x_BLX.mean(1)
    sum_BX = jnp.where(mask_BL[..., None], x_BLX, 0.0).sum(1)
    return sum_BX / jnp.maximum(mask_BL.sum(1), 1)[:, None]
