"""Mochi-1's asymmetric DiT: latents, time, text -> velocity.

Video x in R^D and text y in R^Y, Y < D, have weights of their own and meet in one attention
over [video; text]. With c = time MLP(t) + pool(text), a block is, for both streams alike,

    (scale, gate, scale', gate') = Linear(silu(c)), one for each stream
    x += tanh(gate) RMS(attn(RMS(x) (1 + scale)))
    x += tanh(gate') RMS(SwiGLU(RMS(x) (1 + scale')))

where no RMS is learned but those of q and k. The last block leaves the text as it is, and
the output is Linear(LN(x) (1 + scale'') + shift''). Positions are learned frequencies that
mix the axes (`nn.mixed_rope`), of video only. Source: genmoai/mochi, joint_model/.

The released network embeds 1 - t and predicts data - noise. Here the time is turned where it
is embedded (`conditions`), and the sign in the weights of the output (`weights`).

Modulation, norms' statistics, the gated sums, the pool and the output are float32; the rest
runs in `config.dtype`.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Bool, Float

from videogen.core.errors import ConfigError
from videogen.core.types import Array
from videogen.models.mochi.conditions import ConditionEmbedder
from videogen.models.mochi.config import MochiConfig
from videogen.nn.attention import JointAttention
from videogen.nn.linear import Linear
from videogen.nn.mixed_rope import centred_coordinates, first_frequencies, mixed_rope
from videogen.nn.mlp import SwiGLU
from videogen.nn.modulation import ModulationMLP, chunks, gated_add, modulated_norm
from videogen.nn.norm import rms_norm
from videogen.nn.patch import patchify, token_grid, unpatchify
from videogen.nn.position import Tensor
from videogen.nn.stack import make_stack, run_stack
from videogen.ops.attention.api import AttentionPlan
from videogen.parallel.constrain import constrain

Streams = tuple[Array, Array]  # video_BND, text_BLY


def make(
    config: MochiConfig, plan: AttentionPlan | None = None
) -> Callable[[nnx.Rngs], "Mochi"]:
    """What `Network.of` takes. No plan: `config.attention`, and no mesh."""
    plan = plan or AttentionPlan(implementation=config.attention)
    return functools.partial(Mochi, config, plan)


class Mochi(nnx.Module):
    """The whole network."""

    def __init__(self, config: MochiConfig, plan: AttentionPlan, rngs: nnx.Rngs):
        self.config = config
        width = config.width
        self.patch_embed = Linear(config.token_dim, width, rngs=rngs)
        self.time_embed = ConditionEmbedder(config, rngs)
        heads = config.num_heads, config.head_dim
        self.pos_frequencies = nnx.Param(first_frequencies(*heads, rngs.params()))
        make_block = functools.partial(Block, config, plan)
        self.blocks = (
            make_stack(make_block, config.depth - 1, rngs) if config.depth > 1 else None
        )
        make_last = functools.partial(Block, config, plan, last=True)
        self.last_blocks = make_stack(make_last, 1, rngs)
        self.norm_out = ModulationMLP(width, 2, rngs=rngs)
        # Zeros: a new network predicts no velocity, whatever its depth.
        self.proj_out = Linear(width, config.token_dim, init="zeros", rngs=rngs)

    def __call__(
        self,
        latent_BFHWC: Float[Array, "B F H W C"],
        t_B: Float[Array, "B"],
        text_BLD: Float[Array, "B L X"] | None = None,
        text_mask_BL: Bool[Array, "B L"] | None = None,
        **_: Any,
    ) -> Float[Array, "B F H W C"]:
        """velocity_BFHWC, float32. Other conditions are ignored.

        Raises ConfigError without text, or if the patch does not divide the latent.
        """
        config, patch = self.config, self.config.patch
        if text_BLD is None:
            raise ConfigError("model.family=mochi needs text_BLD in the batch")
        grid = token_grid(latent_BFHWC.shape[1:4], patch)
        tokens_BNP = self.tokens(
            patchify(latent_BFHWC, patch),
            centred_coordinates(grid, config.position_area),
            *(t_B, text_BLD, text_mask_BL),
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
        """The velocity of each token, wherever its coordinates say it is; float32.

        coords_N4: as `nn.mixed_rope.centred_coordinates` gives them.
        """
        config = self.config
        c_BD, text_BLY = self.time_embed(t_B, text_BLX, text_mask_BL)
        x_BND = self.patch_embed(tokens_BNP.astype(config.dtype))
        frequencies_3KP = self.pos_frequencies[...]

        def run(block: Block, streams: Streams) -> Streams:
            # Angles anew in every block: of all heads, they are too many to keep.
            rotation = mixed_rope(coords_N4, frequencies_3KP)
            return block(streams, c_BD, rotation, text_mask_BL)

        streams = pinned((x_BND, text_BLY))
        if self.blocks is not None:
            streams = run_stack(self.blocks, run, streams, remat=config.remat)
        streams = run_stack(self.last_blocks, run, streams, remat=config.remat)
        scale, shift = chunks(self.norm_out(c_BD))
        x_BND = modulated_norm(streams[0].astype(jnp.float32), shift, scale)
        return self.proj_out(x_BND)


class Block(nnx.Module):
    """Joint attention and MLPs; see the module's docstring. last: text is only read."""

    def __init__(
        self,
        config: MochiConfig,
        plan: AttentionPlan,
        rngs: nnx.Rngs,
        *,
        last: bool = False,
    ):
        width, text_width = config.width, config.text_width
        self.eps = config.norm_eps
        self.norm1 = ModulationMLP(width, 4, rngs=rngs)
        num_chunks = 1 if last else 4
        self.norm1_context = ModulationMLP(
            text_width, num_chunks, in_dim=width, rngs=rngs
        )
        self.attn1 = JointAttention(
            width,
            config.num_heads,
            text_width=text_width,
            last=last,
            bias=False,
            out_bias=True,
            qk_norm="rms_head",
            qk_eps=1e-5,
            plan=plan,
            rngs=rngs,
        )
        self.ff = SwiGLU(width, config.mlp_width, rngs=rngs)
        self.ff_context = (
            None if last else SwiGLU(text_width, config.text_mlp_width, rngs=rngs)
        )

    def __call__(
        self,
        streams: Streams,
        c_BD: Float[Array, "B D"],
        rotation: tuple[Array, Array],
        text_mask_BL: Bool[Array, "B L"] | None,
    ) -> Streams:
        x_BND, text_BLY = streams
        scale, gate, ff_scale, ff_gate = chunks(self.norm1(c_BD))
        text_scale, *of_text = chunks(self.norm1_context(c_BD))
        x_branch, text_branch = self.attn1(
            self._scaled(x_BND, scale),
            self._scaled(text_BLY, text_scale),
            *(rotation, text_mask_BL),
        )
        x_BND = self._add(x_BND, x_branch, gate)
        x_BND = self._add(x_BND, self.ff(self._scaled(x_BND, ff_scale)), ff_gate)
        if self.ff_context is not None:
            text_gate, ff_scale, ff_gate = of_text
            assert text_branch is not None
            text_BLY = self._add(text_BLY, text_branch, text_gate)
            text_branch = self.ff_context(self._scaled(text_BLY, ff_scale))
            text_BLY = self._add(text_BLY, text_branch, ff_gate)
        return pinned((x_BND, text_BLY))

    def _scaled(self, x: Array, scale: Array) -> Array:
        """RMS(x) (1 + scale)."""
        norm = functools.partial(rms_norm, eps=self.eps)
        return modulated_norm(x, None, scale, norm=norm)

    def _add(self, x: Array, branch: Array, gate: Array) -> Array:
        """x + tanh(gate) RMS(branch)."""
        return gated_add(x, rms_norm(branch, self.eps), jnp.tanh(gate))


def pinned(streams: Streams) -> Streams:
    x_BND, text_BLY = streams
    x_BND = constrain(x_BND, "batch tokens features")
    return x_BND, constrain(text_BLY, "batch text features")
