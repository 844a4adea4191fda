"""Kandinsky 5 (arXiv 2511.14993; ai-forever/Kandinsky-5): latents, time, text -> velocity.

With c = time MLP(t) + LN(Linear(pooled)) in R^tau, of a caption's pooled vector, each branch
f of a block is

    (shift, scale, gate) = its part of Linear(silu(c)), zero at the start
    x += gate * f(LN(x) (1 + scale) + shift)

Blocks of text have two branches, self-attention and MLP: they refine LN(Linear(text)), whose
heads turn by the token's place. Blocks of video have three: self-attention, cross-attention
to the refined text, MLP. The output is Linear(LN(x) (1 + scale) + shift) by one more such
layer. The MLPs have no biases.

What is released with block-sparse attention chosen by the data (NABLA: 10 s, and high
resolution) has the same parameters; here it attends in full, or by the plan's pattern.

Modulation, norms' statistics, the gated sums and the output are float32; the rest runs in
`config.dtype`.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Bool, Float

from videogen.core.errors import ConfigError
from videogen.core.types import Array
from videogen.models.kandinsky.config import KandinskyConfig
from videogen.nn.attention import (
    CrossAttention,
    Rotation,
    SelfAttention,
    TextAttention,
)
from videogen.nn.linear import Linear
from videogen.nn.mlp import MLP
from videogen.nn.modulation import ModulationMLP, chunks, gated_add
from videogen.nn.modulation import modulated_norm as modulated_by
from videogen.nn.norm import layer_norm
from videogen.nn.patch import beside_given, patchify, token_grid, unpatchify
from videogen.nn.position import Tensor, grid_coordinates, rope, sincos_split
from videogen.nn.stack import make_stack, run_stack
from videogen.nn.text import NormedProjection
from videogen.nn.timestep import TimestepEmbedding
from videogen.ops.attention.api import AttentionPlan
from videogen.parallel.constrain import constrain

NORM_EPS = 1e-5
QK_EPS = 2.0**-23  # of float32, as PyTorch has it where none is said

modulated_norm = functools.partial(
    modulated_by, norm=functools.partial(layer_norm, eps=NORM_EPS)
)


def make(
    config: KandinskyConfig, plan: AttentionPlan | None = None
) -> Callable[[nnx.Rngs], "KandinskyDiT"]:
    """What `Network.of` takes. No plan: `config.attention`, and no mesh."""
    plan = plan or AttentionPlan(implementation=config.attention)
    return functools.partial(KandinskyDiT, config, plan)


class KandinskyDiT(nnx.Module):
    """The whole network."""

    def __init__(self, config: KandinskyConfig, plan: AttentionPlan, rngs: nnx.Rngs):
        self.config = config
        width, time_dim = config.width, config.time_dim
        in_dim = config.token_dim + config.given_dim
        self.patch_embedding = Linear(in_dim, width, rngs=rngs)
        self.time_embedder = TimestepEmbedding(config.freq_dim, time_dim, rngs=rngs)
        self.text_embedder = NormedProjection(
            config.text_dim, width, eps=NORM_EPS, rngs=rngs
        )
        self.pooled_embedder = NormedProjection(
            config.pooled_dim, time_dim, eps=NORM_EPS, rngs=rngs
        )
        make_block = functools.partial(TextBlock, config, plan)
        self.text_blocks = make_stack(make_block, config.text_depth, rngs)
        make_block = functools.partial(Block, config, plan)
        self.blocks = make_stack(make_block, config.depth, rngs)
        self.norm_out = ModulationMLP(width, 2, in_dim=time_dim, rngs=rngs)
        # Zeros: a new network predicts no velocity, whatever its depth.
        self.proj_out = Linear(width, config.token_dim, init="zeros", rngs=rngs)

    def __call__(
        self,
        latent_BFHWC: Float[Array, "B F H W C"],
        t_B: Float[Array, "B"],
        text_BLD: Float[Array, "B L X"] | None = None,
        text_mask_BL: Bool[Array, "B L"] | None = None,
        pooled_BX: Float[Array, "B Y"] | None = None,
        given_BFHWC: Float[Array, "B F H W G"] | None = None,
        **_: Any,
    ) -> Float[Array, "B F H W C"]:
        """velocity_BFHWC, float32. Raises ConfigError without text or its pooled vector, for
        another number of given channels, or if the patch does not divide the latent."""
        config, patch = self.config, self.config.patch
        if text_BLD is None or pooled_BX is None:
            name = "text_BLD" if text_BLD is None else "pooled_BX"
            raise ConfigError(f"model.family=kandinsky needs {name} in the batch")
        grid = token_grid(latent_BFHWC.shape[1:4], patch)
        whole = beside_given(latent_BFHWC, given_BFHWC, config.given_channels)
        tokens_BNP = self.tokens(
            *(patchify(whole, patch), grid_coordinates(grid), t_B),
            *(text_BLD, text_mask_BL, pooled_BX),
        )
        return unpatchify(tokens_BNP, grid, patch)

    def tokens(
        self,
        tokens_BNP: Float[Array, "B N P"],
        coords_N4: Float[Tensor, "*b N 4"],
        t_B: Float[Array, "B"],
        text_BLX: Float[Array, "B L X"],
        text_mask_BL: Bool[Array, "B L"] | None,
        pooled_BX: Float[Array, "B Y"],
    ) -> Float[Array, "B N O"]:
        """The velocity of each token, wherever its coordinates say it is; float32."""
        config = self.config
        dtype = jnp.dtype(config.dtype)
        text_mask_BL = text_mask_BL if config.mask_text else None
        c_BX = self.time_embedder(t_B) + self.pooled_embedder(
            pooled_BX.astype(jnp.float32)
        )
        text_BLD = self._refined(text_BLX.astype(dtype), text_mask_BL, c_BX)
        split = config.rope_split or sincos_split(config.head_dim)
        scaled_N4 = coords_N4 * jnp.asarray((*config.rope_scale, 1.0))
        rotation = rope(scaled_N4, split, config.rope_theta)
        x_BND = self.patch_embedding(tokens_BNP.astype(dtype))
        x_BND = run_stack(
            self.blocks,
            lambda block, x: block(
                x, c_BX, text_BLD, text_mask_BL, rotation, coords_N4
            ),
            constrain(x_BND, "batch tokens features"),
            remat=config.remat,
        )
        shift, scale = chunks(self.norm_out(c_BX))
        x_BND = modulated_norm(x_BND.astype(jnp.float32), shift, scale)
        return self.proj_out(x_BND)

    def _refined(
        self, text_BLX: Array, text_mask_BL: Array | None, c_BX: Array
    ) -> Array:
        config = self.config
        coords_L4 = grid_coordinates((text_BLX.shape[1], 1, 1))
        rotation = rope(coords_L4, (config.head_dim, 0, 0), config.rope_theta)
        return run_stack(
            self.text_blocks,
            lambda block, x: block(x, c_BX, text_mask_BL, rotation),
            self.text_embedder(text_BLX),
            remat=config.remat,
        )


def _heads(
    config: KandinskyConfig, plan: AttentionPlan, rngs: nnx.Rngs
) -> dict[str, Any]:
    """What all attentions are made of."""
    sizes = {"width": config.width, "num_heads": config.num_heads}
    norms = {"qk_norm": "rms_head", "qk_eps": QK_EPS}
    return sizes | norms | {"plan": plan, "rngs": rngs}


class TextBlock(nnx.Module):
    """Self-attention and MLP of the text."""

    def __init__(self, config: KandinskyConfig, plan: AttentionPlan, rngs: nnx.Rngs):
        width = config.width
        self.modulation = ModulationMLP(width, 6, in_dim=config.time_dim, rngs=rngs)
        self.attn1 = TextAttention(**_heads(config, plan, rngs))
        self.ff = MLP(
            *(width, config.mlp_width), activation="gelu", bias=False, rngs=rngs
        )

    def __call__(
        self,
        text_BLD: Float[Array, "B L D"],
        c_BX: Float[Array, "B X"],
        text_mask_BL: Bool[Array, "B L"] | None,
        rotation: Rotation,
    ) -> Float[Array, "B L D"]:
        mod = chunks(self.modulation(c_BX))
        shift, scale, gate, ff_shift, ff_scale, ff_gate = mod
        branch_BLD = modulated_norm(text_BLD, shift, scale)
        branch_BLD = self.attn1(branch_BLD, rotation, text_mask_BL)
        text_BLD = gated_add(text_BLD, branch_BLD, gate)
        branch_BLD = modulated_norm(text_BLD, ff_shift, ff_scale)
        text_BLD = gated_add(text_BLD, self.ff(branch_BLD, "text"), ff_gate)
        return constrain(text_BLD, "batch text features")


class Block(nnx.Module):
    """Self-attention, cross-attention, MLP of the video."""

    def __init__(self, config: KandinskyConfig, plan: AttentionPlan, rngs: nnx.Rngs):
        width = config.width
        heads = _heads(config, plan, rngs)
        self.modulation = ModulationMLP(width, 9, in_dim=config.time_dim, rngs=rngs)
        self.attn1 = SelfAttention(**heads)
        self.attn2 = CrossAttention(**heads)
        self.ff = MLP(
            *(width, config.mlp_width), activation="gelu", bias=False, rngs=rngs
        )

    def __call__(
        self,
        x_BND: Float[Array, "B N D"],
        c_BX: Float[Array, "B X"],
        text_BLD: Float[Array, "B L D"],
        text_mask_BL: Bool[Array, "B L"] | None,
        rotation: Rotation,
        coords_N4: Float[Tensor, "*b N 4"] | None = None,
    ) -> Float[Array, "B N D"]:
        mod = chunks(self.modulation(c_BX))
        of_self, of_cross, of_ff = mod[:3], mod[3:6], mod[6:]
        branch_BND = modulated_norm(x_BND, *of_self[:2])
        branch_BND = self.attn1(branch_BND, rotation, coords_N4=coords_N4)
        x_BND = gated_add(x_BND, branch_BND, of_self[2])
        branch_BND = modulated_norm(x_BND, *of_cross[:2])
        branch_BND = self.attn2(branch_BND, text_BLD, text_mask_BL)
        x_BND = gated_add(x_BND, branch_BND, of_cross[2])
        branch_BND = self.ff(modulated_norm(x_BND, *of_ff[:2]))
        x_BND = gated_add(x_BND, branch_BND, of_ff[2])
        return constrain(x_BND, "batch tokens features")
