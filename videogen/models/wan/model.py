"""Wan's transformer (arXiv 2503.20314, section 4.2): latents, time, text -> velocity.

With e = time MLP(t), m = Linear(silu(e)) in R^(6 x D) shared by all blocks, and a learned
table in R^(6 x D) per block, a block is

    (shift, scale, gate, shift', scale', gate') = table + m
    x += gate * attn1(LN(x) (1 + scale) + shift)          rotary, RMS norm of q and k
    x += attn2(LN_affine(x), text)                        RMS norm of q and k
    x += gate' * ffn(LN(x) (1 + scale') + shift')

and the output is Linear(LN(x) (1 + scale'') + shift''), (shift'', scale'') = table'' + e.
Attributes carry diffusers' names (WanTransformer3DModel). Modulation, norms' statistics,
the gated sums and the output are float32; the rest, the cross-attention's sum included,
runs in `config.dtype`, as in the released code.
"""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Bool, Float, Int

from videogen.core.errors import ConfigError
from videogen.core.types import Array
from videogen.models.wan.config import WanConfig
from videogen.nn.attention import CrossAttention, Rotation, SelfAttention
from videogen.nn.linear import Linear
from videogen.nn.mlp import MLP
from videogen.nn.modulation import chunks, gated_add, modulated_norm, modulation_table
from videogen.nn.norm import LayerNorm
from videogen.nn.patch import patchify, token_grid, unpatchify
from videogen.nn.position import Tensor, grid_coordinates, rope, rope_split
from videogen.nn.stack import make_stack, run_stack
from videogen.nn.text import TextProjection
from videogen.nn.timestep import TimestepEmbedding
from videogen.ops.attention.api import AttentionPlan
from videogen.parallel.constrain import constrain


def make(
    config: WanConfig, plan: AttentionPlan | None = None
) -> Callable[[nnx.Rngs], "WanTransformer"]:
    """What `Network.of` takes. No plan: `config.attention`, and no mesh."""
    plan = plan or AttentionPlan(implementation=config.attention)
    return functools.partial(WanTransformer, config, plan)


class WanTransformer(nnx.Module):
    """The whole network."""

    def __init__(self, config: WanConfig, plan: AttentionPlan, rngs: nnx.Rngs):
        self.config = config
        self.patch_embedding = Linear(config.token_dim, config.width, rngs=rngs)
        self.condition_embedder = ConditionEmbedder(config, rngs)
        make_block = functools.partial(Block, config, plan)
        self.blocks = make_stack(make_block, config.depth, rngs)
        self.scale_shift_table = modulation_table(2, config.width, rngs=rngs)
        # Zeros: a new network predicts no velocity, whatever its depth.
        self.proj_out = Linear(config.width, config.token_dim, init="zeros", rngs=rngs)

    def __call__(
        self,
        latent_BFHWC: Float[Array, "B F H W C"],
        t_B: Float[Array, "B"],
        text_BLD: Float[Array, "B L X"] | None = None,
        text_mask_BL: Bool[Array, "B L"] | None = None,
        label_B: Int[Array, "B"] | None = None,
    ) -> Float[Array, "B F H W C"]:
        """velocity_BFHWC, float32. Labels are ignored.

        Raises ConfigError without text, or if the patch does not divide the latent.
        """
        if text_BLD is None:
            raise ConfigError(
                "model.family=wan needs text_BLD in the batch; dit does not"
            )
        patch = self.config.patch
        grid = token_grid(latent_BFHWC.shape[1:4], patch)
        tokens_BNP = self.tokens(
            patchify(latent_BFHWC, patch),
            grid_coordinates(grid),
            t_B,
            text_BLD,
            text_mask_BL if self.config.mask_text else None,
        )
        return unpatchify(tokens_BNP, grid, patch)

    def tokens(
        self,
        tokens_BNP: Float[Array, "B N P"],
        coords_N4: Float[Tensor, "*b N 4"],
        t_B: Float[Array, "B"],
        text_BLX: Float[Array, "B L X"],
        text_mask_BL: Bool[Array, "B L"] | None,
    ) -> Float[Array, "B N P"]:
        """The velocity of each token, wherever its coordinates say it is; float32."""
        config = self.config
        dtype = jnp.dtype(config.dtype)
        time_BD, mod_BJD, text_BLD = self.condition_embedder(
            t_B, text_BLX.astype(dtype)
        )
        rotation = rope(coords_N4, rope_split(config.head_dim), config.rope_theta)
        x_BND = self.patch_embedding(tokens_BNP.astype(dtype))
        x_BND = run_stack(
            self.blocks,
            lambda block, x: block(
                x, mod_BJD, text_BLD, text_mask_BL, rotation, coords_N4
            ),
            constrain(x_BND, "batch tokens features"),
            remat=config.remat,
        )
        table_JD = self.scale_shift_table[...]
        shift, scale = chunks(table_JD + time_BD[:, None])
        x_BND = modulated_norm(x_BND.astype(jnp.float32), shift, scale)
        return self.proj_out(x_BND)


class ConditionEmbedder(nnx.Module):
    """Time and text -> (time_BD, mod_B6D) in float32, text_BLD in the text's dtype."""

    def __init__(self, config: WanConfig, rngs: nnx.Rngs):
        width = config.width
        self.time_embedder = TimestepEmbedding(config.freq_dim, width, rngs=rngs)
        self.time_proj = Linear(width, 6 * width, rngs=rngs)
        self.text_embedder = TextProjection(config.text_dim, width, rngs=rngs)

    def __call__(
        self, t_B: Float[Array, "B"], text_BLX: Float[Array, "B L X"]
    ) -> tuple[Array, Array, Array]:
        time_BD = self.time_embedder(t_B)
        mod_BX = self.time_proj(jax.nn.silu(time_BD))
        mod_BJD = mod_BX.reshape(time_BD.shape[0], 6, -1)
        return time_BD, mod_BJD, self.text_embedder(text_BLX)


class Block(nnx.Module):
    """Self-attention, cross-attention, MLP; see the module's docstring."""

    def __init__(self, config: WanConfig, plan: AttentionPlan, rngs: nnx.Rngs):
        heads = {
            "width": config.width,
            "num_heads": config.num_heads,
            "qk_norm": "rms_full",
            "plan": plan,
        }
        self.attn1 = SelfAttention(**heads, rngs=rngs)
        self.norm2 = LayerNorm(config.width)
        self.attn2 = CrossAttention(**heads, rngs=rngs)
        self.ffn = MLP(config.width, config.mlp_width, rngs=rngs)
        self.scale_shift_table = modulation_table(6, config.width, rngs=rngs)

    def __call__(
        self,
        x_BND: Float[Array, "B N D"],
        mod_BJD: Float[Array, "B 6 D"],
        text_BLD: Float[Array, "B L D"],
        text_mask_BL: Bool[Array, "B L"] | None,
        rotation: Rotation,
        coords_N4: Float[Tensor, "*b N 4"] | None = None,
    ) -> Float[Array, "B N D"]:
        mod = chunks(self.scale_shift_table[...] + mod_BJD)
        shift, scale, gate, ffn_shift, ffn_scale, ffn_gate = mod
        branch_BND = modulated_norm(x_BND, shift, scale)
        branch_BND = self.attn1(branch_BND, rotation, coords_N4=coords_N4)
        x_BND = gated_add(x_BND, branch_BND, gate)
        x_BND = x_BND + self.attn2(self.norm2(x_BND), text_BLD, text_mask_BL)
        branch_BND = self.ffn(modulated_norm(x_BND, ffn_shift, ffn_scale))
        x_BND = gated_add(x_BND, branch_BND, ffn_gate)
        return constrain(x_BND, "batch tokens features")
