"""Cosmos's transformer (arXiv 2501.03575, section 5.1; Predict2's code): adaLN-LoRA.

With s the sinusoids of t, c = RMSNorm(s) and shared = W2 silu(W1 s) in R^(3 x D), each of a
block's three branches f (self-attention, cross-attention to text, MLP) is

    (shift, scale, gate) = shared + B silu(c) A,   A in R^(freqs x r), B in R^(r x 3 D)
    x += gate * f(LN(x) (1 + scale) + shift)

and the output is Linear(LN(x) (1 + scale) + shift) of two such vectors, which share the
first two of the three. Nothing has a bias. Rank r = 256 saves a third of the parameters of
one D -> 3 D layer per branch.

Heads turn by frame, row and column, each axis with a theta of its own (NTK scaling), and
frames by seconds if `base_fps` is set. Predict1 adds p / (1e-6 + rms(p)) to the input of
every block, p the sum of learned vectors of frame, row and column.

Predict2 embeds t = sigma / (1 + sigma) and predicts noise - data, which is flow matching as
it is here; Predict1 was trained with EDM's scaled inputs and outputs and embeds ln(sigma) / 4
in the place of t. Neither multiplies by 1000.

Modulation, norms' statistics, the gated sums and the output are float32; the rest runs in
`config.dtype`.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Bool, Float

from videogen.core.errors import ConfigError
from videogen.core.types import Array
from videogen.models.cosmos.config import CosmosConfig
from videogen.nn.attention import CrossAttention, Rotation, SelfAttention
from videogen.nn.linear import Linear
from videogen.nn.mlp import ACTIVATIONS, MLP
from videogen.nn.modulation import (
    LowRankModulation,
    chunks,
    gated_add,
    modulated_norm,
)
from videogen.nn.norm import RMSNorm
from videogen.nn.patch import beside_given, patchify, token_grid, unpatchify
from videogen.nn.position import (
    LearnedPositions,
    Tensor,
    grid_coordinates,
    ntk_thetas,
    rope,
    rope_split,
)
from videogen.nn.stack import make_stack, run_stack
from videogen.nn.timestep import sinusoid
from videogen.ops.attention.api import AttentionPlan
from videogen.parallel.constrain import constrain


def make(
    config: CosmosConfig, plan: AttentionPlan | None = None
) -> Callable[[nnx.Rngs], "CosmosDiT"]:
    """What `Network.of` takes. No plan: `config.attention`, and no mesh."""
    plan = plan or AttentionPlan(implementation=config.attention)
    return functools.partial(CosmosDiT, config, plan)


class CosmosDiT(nnx.Module):
    """The whole network."""

    def __init__(self, config: CosmosConfig, plan: AttentionPlan, rngs: nnx.Rngs):
        self.config = config
        width, in_dim = config.width, config.token_dim + config.given_dim
        self.patch_embed = Linear(in_dim, width, bias=False, rngs=rngs)
        self.learnable_pos_embed = (
            LearnedPositions(config.position_sizes, width, rngs=rngs)
            if config.has_positions
            else None
        )
        self.time_embed = TimeEmbedding(config.freq_dim, width, rngs=rngs)
        self.crossattn_proj = (
            Linear(config.text_dim, config.text_proj_dim, rngs=rngs)
            if config.text_proj_dim
            else None
        )
        make_block = functools.partial(Block, config, plan)
        self.blocks = make_stack(make_block, config.depth, rngs)
        sizes = config.freq_dim, config.lora_rank
        self.norm_out = LowRankModulation(*sizes, 2, width, rngs=rngs)
        # Zeros: a new network predicts no velocity, whatever its depth.
        out_dim = config.token_dim
        self.proj_out = Linear(width, out_dim, bias=False, init="zeros", rngs=rngs)

    def __call__(
        self,
        latent_BFHWC: Float[Array, "B F H W C"],
        t_B: Float[Array, "B *N"],
        text_BLD: Float[Array, "B L X"] | None = None,
        text_mask_BL: Bool[Array, "B L"] | None = None,
        given_BFHWC: Float[Array, "B F H W G"] | None = None,
        fps_B: Float[Array, "B"] | None = None,
        **_: Any,
    ) -> Float[Array, "B F H W C"]:
        """velocity_BFHWC, float32; t_B, or t_BN for a time per token.

        Frames that are given lie clean in the latent, and their tokens' time is near 0.
        Raises ConfigError without text, for another number of given channels, a latent
        beyond the learned positions, or one that the patch does not divide.
        """
        config, patch = self.config, self.config.patch
        if text_BLD is None:
            raise ConfigError("model.family=cosmos needs text_BLD in the batch")
        grid = token_grid(latent_BFHWC.shape[1:4], patch)
        whole = beside_given(latent_BFHWC, given_BFHWC, config.given_channels)
        coords = grid_coordinates(grid)
        if self.learnable_pos_embed is not None:
            self.learnable_pos_embed.check(coords)
        if fps_B is not None and config.base_fps:
            fps_BN = jnp.broadcast_to(fps_B[:, None], (len(fps_B), len(coords)))
            coords = jnp.broadcast_to(coords, (*fps_BN.shape, 4)).at[..., 3].set(fps_BN)
        tokens_BNP = self.tokens(
            patchify(whole, patch), coords, t_B, text_BLD, text_mask_BL
        )
        return unpatchify(tokens_BNP, grid, patch)

    def tokens(
        self,
        tokens_BNP: Float[Array, "B N P"],
        coords_N4: Float[Tensor, "*b N 4"],
        t_B: Float[Array, "B *N"],
        text_BLX: Float[Array, "B L X"],
        text_mask_BL: Bool[Array, "B L"] | None,
    ) -> Float[Array, "B N O"]:
        """The velocity of each token, wherever its coordinates say it is; float32."""
        config = self.config
        dtype = jnp.dtype(config.dtype)
        c_BX, shared_BJD = self.time_embed(t_B)
        text_BLX = text_BLX.astype(dtype)
        if self.crossattn_proj is not None:
            text_BLX = ACTIVATIONS["gelu"](self.crossattn_proj(text_BLX))
        text_mask_BL = text_mask_BL if config.mask_text else None
        position_ND = self._position(coords_N4, dtype)
        rotation = self._rotation(coords_N4)
        x_BND = self.patch_embed(tokens_BNP.astype(dtype))
        x_BND = run_stack(
            self.blocks,
            lambda block, x: block(
                x if position_ND is None else x + position_ND,
                *(c_BX, shared_BJD, text_BLX, text_mask_BL, rotation, coords_N4),
            ),
            constrain(x_BND, "batch tokens features"),
            remat=config.remat,
        )
        shift, scale = chunks(self.norm_out(c_BX, shared_BJD[..., :2, :]))
        x_BND = modulated_norm(x_BND.astype(jnp.float32), shift, scale)
        return self.proj_out(x_BND)

    def _position(self, coords_N4: Tensor, dtype: Any) -> Array | None:
        if self.learnable_pos_embed is None:
            return None
        p_ND = self.learnable_pos_embed(coords_N4)
        p_ND = p_ND / (1e-6 + jnp.sqrt((p_ND**2).mean(-1, keepdims=True)))
        return p_ND.astype(dtype)

    def _rotation(self, coords_N4: Tensor) -> Rotation:
        config = self.config
        split = rope_split(config.head_dim)
        if config.base_fps:
            fps_N = jnp.asarray(coords_N4[..., 3])
            rate_N = jnp.where(fps_N > 0, config.base_fps / fps_N, 1.0)
            coords_N4 = jnp.asarray(coords_N4).at[..., 0].multiply(rate_N)
        return rope(
            coords_N4, split, ntk_thetas(split, config.rope_ntk, config.rope_theta)
        )


class TimeEmbedding(nnx.Module):
    """t -> (c_BX, shared_BJD): see the module's docstring; float32."""

    def __init__(self, freq_dim: int, width: int, *, rngs: nnx.Rngs):
        self.freq_dim = freq_dim
        sizes = {"bias": False, "init": "normal", "rngs": rngs}
        self.linear_1 = Linear(freq_dim, width, **sizes)
        self.linear_2 = Linear(width, 3 * width, **sizes)
        self.norm = RMSNorm(freq_dim)

    def __call__(
        self, t_B: Float[Array, "*B"]
    ) -> tuple[Float[Array, "*B X"], Float[Array, "*B 3 D"]]:
        s_BX = sinusoid(t_B, self.freq_dim, scale=1.0)
        y_BX = self.linear_2(jax.nn.silu(self.linear_1(s_BX)))
        return self.norm(s_BX), y_BX.reshape(*t_B.shape, 3, -1)


class Block(nnx.Module):
    """Self-attention, cross-attention, MLP; see the module's docstring."""

    def __init__(self, config: CosmosConfig, plan: AttentionPlan, rngs: nnx.Rngs):
        width = config.width
        heads = {
            "width": width,
            "num_heads": config.num_heads,
            "qk_norm": "rms_head",
            "qk_eps": config.qk_eps,
            "bias": False,
            "plan": plan,
            "rngs": rngs,
        }
        sizes = config.freq_dim, config.lora_rank, 3, width
        self.norm1 = LowRankModulation(*sizes, rngs=rngs)
        self.attn1 = SelfAttention(**heads)
        self.norm2 = LowRankModulation(*sizes, rngs=rngs)
        self.attn2 = CrossAttention(**heads, kv_dim=config.kv_dim)
        self.norm3 = LowRankModulation(*sizes, rngs=rngs)
        self.ff = MLP(width, config.mlp_width, activation="gelu", bias=False, rngs=rngs)

    def __call__(
        self,
        x_BND: Float[Array, "B N D"],
        c_BX: Float[Array, "B *N X"],
        shared_BJD: Float[Array, "B *N 3 D"],
        text_BLX: Float[Array, "B L Y"],
        text_mask_BL: Bool[Array, "B L"] | None,
        rotation: Rotation,
        coords_N4: Float[Tensor, "*b N 4"] | None = None,
    ) -> Float[Array, "B N D"]:
        shift, scale, gate = chunks(self.norm1(c_BX, shared_BJD))
        branch_BND = modulated_norm(x_BND, shift, scale)
        branch_BND = self.attn1(branch_BND, rotation, coords_N4=coords_N4)
        x_BND = gated_add(x_BND, branch_BND, gate)
        shift, scale, gate = chunks(self.norm2(c_BX, shared_BJD))
        branch_BND = modulated_norm(x_BND, shift, scale)
        branch_BND = self.attn2(branch_BND, text_BLX, text_mask_BL)
        x_BND = gated_add(x_BND, branch_BND, gate)
        shift, scale, gate = chunks(self.norm3(c_BX, shared_BJD))
        branch_BND = self.ff(modulated_norm(x_BND, shift, scale))
        x_BND = gated_add(x_BND, branch_BND, gate)
        return constrain(x_BND, "batch tokens features")
