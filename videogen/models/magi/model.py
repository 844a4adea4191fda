"""MAGI-1's transformer: latents, a time for each chunk, text -> velocity.

With c = time MLP(t) + Linear(a learned token), a block is

    (gate, gate') = tanh(Linear(silu(c)))
    h = LN(x)
    x += LN'(gate * [self(h); cross(h, text)] W)
    x += LN'(gate' * mlp(LN(x)))

and the output is W' LN'(x), where the gain of LN' is 1 + scale. Nothing is shifted or
scaled by the time. Since LN' comes after the gate, a branch feels the proportions of its
gate, not its size: gates that all started at zero would have a gradient of 1 / sqrt(eps),
so they start at random. [a; b] W is computed as a W1 + b W2, each a projection of its own,
so that heads can be cut over devices.

Chunks of latent frames attend themselves and earlier chunks. A chunk may have a time of its
own: then t is given per token, t_BN.

arXiv 2505.13211, section 2.2; SandAI-org/MAGI-1, inference/model/dit. There, at sampling,
each chunk also has a text of its own, whose first token says how many chunks follow; here a
video has one text. Gates, norms' statistics, their sums and the output are float32, the rest
`config.dtype`.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Bool, Float

from videogen.core.errors import ConfigError
from videogen.core.types import Array
from videogen.models.magi.conditions import ConditionEmbedder
from videogen.models.magi.config import MagiConfig
from videogen.nn.attention import CrossAttention, Rotation, SelfAttention
from videogen.nn.bands import RotaryBands, centred_coordinates
from videogen.nn.linear import Linear
from videogen.nn.mlp import make_mlp
from videogen.nn.modulation import ModulationMLP, chunks
from videogen.nn.norm import LayerNorm, LayerNorm1p
from videogen.nn.patch import patchify, token_grid, unpatchify
from videogen.nn.position import Tensor
from videogen.nn.stack import make_stack, run_stack
from videogen.ops.attention.api import AttentionPlan
from videogen.ops.attention.patterns import BlockCausal
from videogen.parallel.constrain import constrain


def make(
    config: MagiConfig, plan: AttentionPlan | None = None
) -> Callable[[nnx.Rngs], "Magi"]:
    """What `Network.of` takes. No plan: `config.attention`, and no mesh.

    The pattern is the model's: chunks of frames, whatever the plan says.
    """
    plan = plan or AttentionPlan(implementation=config.attention)
    frames = config.chunk // config.patch[0]
    pattern = BlockCausal(chunk=frames) if frames else None
    return functools.partial(Magi, config, dataclasses.replace(plan, pattern=pattern))


class Magi(nnx.Module):
    """The whole network."""

    def __init__(self, config: MagiConfig, plan: AttentionPlan, rngs: nnx.Rngs):
        self.config = config
        width, dim = config.width, config.token_dim * config.latent_copies
        self.patch_embedding = Linear(dim, width, bias=False, rngs=rngs)
        self.condition_embedder = ConditionEmbedder(config, rngs)
        self.rope = RotaryBands(config.head_dim, config.rope_theta)
        make_block = functools.partial(Block, config, plan)
        self.blocks = make_stack(make_block, config.depth, rngs)
        self.norm_out = LayerNorm1p(width, eps=config.norm_eps)
        # Zeros: a new network predicts no velocity, whatever its depth.
        self.proj_out = Linear(width, dim, bias=False, init="zeros", rngs=rngs)

    def __call__(
        self,
        latent_BFHWC: Float[Array, "B F H W C"],
        t_B: Float[Array, "B *N"],
        text_BLD: Float[Array, "B L X"] | None = None,
        text_mask_BL: Bool[Array, "B L"] | None = None,
        **_: Any,
    ) -> Float[Array, "B F H W C"]:
        """velocity_BFHWC, float32; t_B, or t_BN for a time per token, so per chunk.

        A text without a true mask is a dropped one. Raises ConfigError without text or with
        too long a one, or if the patch does not divide the latent.
        """
        if text_BLD is None:
            raise ConfigError("model.family=magi needs text_BLD in the batch")
        patch = self.config.patch
        grid = token_grid(latent_BFHWC.shape[1:4], patch)
        tokens_BNP = self.tokens(
            patchify(latent_BFHWC, patch),
            centred_coordinates(grid),
            *(t_B, text_BLD, text_mask_BL),
        )
        return unpatchify(tokens_BNP, grid, patch)

    def tokens(
        self,
        tokens_BNP: Float[Array, "B N P"],
        coords_N4: Float[Tensor, "*b N 4"],
        t_B: Float[Array, "B *N"],
        text_BLX: Float[Array, "B L X"],
        text_mask_BL: Bool[Array, "B L"] | None,
    ) -> Float[Array, "B N P"]:
        """The velocity of each token; float32.

        coords_N4: where they are, rows and columns as `centred_coordinates` has them for
            the grid that they are of.
        """
        config = self.config
        dtype = jnp.dtype(config.dtype)
        c_Bc, text_BLD, text_mask_BL = self.condition_embedder(
            t_B, text_BLX, text_mask_BL
        )
        rotation = self.rope(coords_N4)
        copied_BNP = self._copied(tokens_BNP * config.latent_scale)
        x_BND = run_stack(
            self.blocks,
            lambda block, x: block(
                x, c_Bc, text_BLD, text_mask_BL, rotation, coords_N4
            ),
            constrain(
                self.patch_embedding(copied_BNP.astype(dtype)), "batch tokens features"
            ),
            remat=config.remat,
        )
        x_BND = self.norm_out.normed(x_BND)
        return self._first_copy(self.proj_out(x_BND)) / config.latent_scale

    def _copied(self, tokens_BNP: Array) -> Array:
        """The channels of every patch, `latent_copies` times."""
        config = self.config
        pixels = tokens_BNP.reshape(*tokens_BNP.shape[:2], -1, config.latent_channels)
        copies = jnp.tile(pixels, (1, 1, 1, config.latent_copies))
        return copies.reshape(*tokens_BNP.shape[:2], -1)

    def _first_copy(self, tokens_BNP: Array) -> Array:
        config = self.config
        dim = config.latent_channels * config.latent_copies
        pixels = tokens_BNP.reshape(*tokens_BNP.shape[:2], -1, dim)
        first = pixels[..., : config.latent_channels]
        return first.reshape(*tokens_BNP.shape[:2], -1)


class Block(nnx.Module):
    """Attention to tokens and text at once, then an MLP; see the module's docstring."""

    def __init__(self, config: MagiConfig, plan: AttentionPlan, rngs: nnx.Rngs):
        width, eps = config.width, config.norm_eps
        attention = functools.partial(
            dict,
            width=width,
            num_heads=config.num_heads,
            num_kv_heads=config.num_kv_heads,
            qk_norm="layer_head_1p",
            qk_eps=eps,
            bias=False,
            plan=plan,
            rngs=rngs,
        )
        self.modulation = ModulationMLP(
            width, 2, in_dim=config.condition_dim, init="xavier", rngs=rngs
        )
        self.norm1 = LayerNorm(width, eps=eps)
        self.attn1 = SelfAttention(**attention())
        self.attn2 = CrossAttention(**attention())
        self.post_norm1 = LayerNorm1p(width, eps=eps)
        self.norm2 = LayerNorm(width, eps=eps)
        self.ffn = make_mlp(config.mlp, width, config.mlp_width, bias=False, rngs=rngs)
        self.post_norm2 = LayerNorm1p(width, eps=eps)

    def __call__(
        self,
        x_BND: Float[Array, "B N D"],
        c_Bc: Float[Array, "B *N c"],
        text_BLD: Float[Array, "B L D"],
        text_mask_BL: Bool[Array, "B L"] | None,
        rotation: Rotation,
        coords_N4: Float[Tensor, "*b N 4"] | None = None,
    ) -> Float[Array, "B N D"]:
        gate, ffn_gate = chunks(jnp.tanh(self.modulation(c_Bc)))
        h_BND = self.norm1(x_BND)
        branch_BND = self.attn1(h_BND, rotation, coords_N4=coords_N4)
        branch_BND = branch_BND + self.attn2(h_BND, text_BLD, text_mask_BL)
        x_BND = gated_norm_add(x_BND, branch_BND, gate, self.post_norm1)
        branch_BND = self.ffn(self.norm2(x_BND))
        x_BND = gated_norm_add(x_BND, branch_BND, ffn_gate, self.post_norm2)
        return constrain(x_BND, "batch tokens features")


def gated_norm_add(
    x_BND: Float[Array, "B N D"],
    branch_BND: Float[Array, "B N D"],
    gate_B1D: Float[Array, "B #N D"],
    norm: LayerNorm1p,
) -> Float[Array, "B N D"]:
    """x + norm(gate * branch), in float32."""
    y_BND = norm.normed(branch_BND.astype(jnp.float32) * gate_B1D)
    return (x_BND.astype(jnp.float32) + y_BND).astype(x_BND.dtype)
