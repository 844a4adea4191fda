"""Seaweed-7B's transformer, as far as it is published: latents, time, text -> velocity.

With e = time MLP(t) and m = Linear(silu(e)) in R^(6 x D) shared by all blocks and streams, a
block has for each stream, video and text, a learned table in R^(6 x D) and takes

    (shift, scale, gate, shift', scale', gate') = table + m
    x += gate * attn(LN(x) (1 + scale) + shift)
    x += gate' * mlp(LN(x) (1 + scale') + shift')

where the attention is one, of all tokens of both streams, with projections of each stream's
own (arXiv 2403.03206, section 4). In the first blocks each stream has its own MLP; in the
deeper two thirds both use one. Video turns by (frame, row, column), and so does text, whose
token i stands at (i, i, i). The output is Linear(LN(x) (1 + scale'') + shift''), with
(shift'', scale'') = table'' + e. What the paper (arXiv 2504.08685) leaves open stands in
`sizes.py`.

Modulation, norms' statistics, the gated sums and the output are float32, the rest runs in
`config.dtype`.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Bool, Float

from videogen.core.errors import ConfigError
from videogen.core.types import Array
from videogen.models.hybrid.config import HybridConfig
from videogen.nn.attention import JointAttention, Rotation
from videogen.nn.linear import Linear
from videogen.nn.mlp import make_mlp
from videogen.nn.modulation import chunks, gated_add, modulated_norm, modulation_table
from videogen.nn.patch import patchify, token_grid, unpatchify
from videogen.nn.position import Tensor, grid_coordinates, rope, rope_split
from videogen.nn.stack import make_stack, run_stack
from videogen.nn.text import TextProjection
from videogen.nn.timestep import TimestepEmbedding
from videogen.nn.weight import weight
from videogen.ops.attention.api import AttentionPlan
from videogen.parallel.constrain import constrain

Streams = tuple[Array, Array]  # video_BND, text_BLD


def make(
    config: HybridConfig, plan: AttentionPlan | None = None
) -> Callable[[nnx.Rngs], "HybridDiT"]:
    """What `Network.of` takes. No plan: `config.attention`, and no mesh."""
    plan = plan or AttentionPlan(implementation=config.attention)
    return functools.partial(HybridDiT, config, plan)


class HybridDiT(nnx.Module):
    """The whole network."""

    def __init__(self, config: HybridConfig, plan: AttentionPlan, rngs: nnx.Rngs):
        self.config = config
        width = config.width
        self.patch_embedding = Linear(config.token_dim, width, rngs=rngs)
        self.time_embedder = TimestepEmbedding(config.freq_dim, width, rngs=rngs)
        self.time_proj = Linear(width, 6 * width, rngs=rngs)
        self.text_embedder = TextProjection(config.text_dim, width, rngs=rngs)
        make_block = functools.partial(Block, config, plan)
        make_own = functools.partial(make_block, False)
        make_shared = functools.partial(make_block, True)
        self.blocks = make_stack(make_own, config.depth, rngs)
        self.shared_blocks = make_stack(make_shared, config.shared_depth, rngs)
        self.scale_shift_table = modulation_table(2, width, rngs=rngs)
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
        """velocity_BFHWC, float32.

        Raises ConfigError without text, or if the patch does not divide the latent.
        """
        if text_BLD is None:
            raise ConfigError("model.family=hybrid needs text_BLD in the batch")
        patch = self.config.patch
        grid = token_grid(latent_BFHWC.shape[1:4], patch)
        tokens_BNP = self.tokens(
            patchify(latent_BFHWC, patch),
            grid_coordinates(grid),
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
        """The velocity of each token, wherever its coordinates say it is; float32."""
        config = self.config
        dtype = jnp.dtype(config.dtype)
        time_BD = self.time_embedder(t_B)
        mod_BJD = self.time_proj(jax.nn.silu(time_BD)).reshape(len(t_B), 6, -1)
        split = config.rope_split or rope_split(config.head_dim)
        rotations = tuple(
            rope(coords, split, config.rope_theta)
            for coords in (coords_N4, diagonal(text_BLX.shape[1]))
        )
        streams: Streams = (
            constrain(
                self.patch_embedding(tokens_BNP.astype(dtype)), "batch tokens features"
            ),
            self.text_embedder(text_BLX.astype(dtype)),
        )
        for blocks in (self.blocks, self.shared_blocks):
            streams = run_stack(
                blocks,
                lambda block, x: block(x, mod_BJD, text_mask_BL, *rotations),
                streams,
                remat=config.remat,
            )
        shift, scale = chunks(self.scale_shift_table[...] + time_BD[:, None])
        x_BND = modulated_norm(streams[0].astype(jnp.float32), shift, scale)
        return self.proj_out(x_BND)


def diagonal(length: int) -> Float[np.ndarray, "L 4"]:
    """Coordinates of a text: token i at frame i, row i, column i."""
    places_L = np.arange(length, dtype=np.float32)
    return np.stack([places_L] * 3 + [np.zeros_like(places_L)], axis=-1)


class Block(nnx.Module):
    """Two streams, joint in the attention; see the module's docstring."""

    def __init__(
        self,
        config: HybridConfig,
        plan: AttentionPlan,
        shares_mlp: bool,
        rngs: nnx.Rngs,
    ):
        width, heads = config.width, config.num_heads
        sizes = {"qk_norm": "rms_head", "bias": config.bias, "plan": plan}
        self.attn = JointAttention(width, heads, **sizes, rngs=rngs)
        mlp = config.mlp, width, config.mlp_width
        self.ff = make_mlp(*mlp, bias=config.mlp_bias, rngs=rngs)
        self.ff_context = (
            None if shares_mlp else make_mlp(*mlp, bias=config.mlp_bias, rngs=rngs)
        )
        self.scale_shift_table = modulation_table(6, width, rngs=rngs)
        self.scale_shift_table_context = modulation_table(6, width, rngs=rngs)

    def __call__(
        self,
        streams: Streams,
        mod_BJD: Float[Array, "B 6 D"],
        text_mask_BL: Bool[Array, "B L"] | None,
        rotation: Rotation,
        text_rotation: Rotation,
    ) -> Streams:
        x_BND, text_BLD = streams
        mod = chunks(weight(self.scale_shift_table) + mod_BJD)
        text_mod = chunks(weight(self.scale_shift_table_context) + mod_BJD)
        video_BND, attended_BLD = self.attn(
            modulated_norm(x_BND, *mod[:2]),
            modulated_norm(text_BLD, *text_mod[:2]),
            rotation,
            text_mask_BL,
            text_rotation,
        )
        assert attended_BLD is not None
        ff_context = self.ff if self.ff_context is None else self.ff_context
        x_BND = _finish(x_BND, video_BND, mod, self.ff)
        text_BLD = _finish(text_BLD, attended_BLD, text_mod, ff_context)
        x_BND = constrain(x_BND, "batch tokens features")
        return x_BND, constrain(text_BLD, "batch text features")


def _finish(
    x_BND: Array, attended_BND: Array, mod: tuple[Array, ...], ff: Any
) -> Array:
    """One stream after the attention."""
    gate, ff_shift, ff_scale, ff_gate = mod[2:]
    x_BND = gated_add(x_BND, attended_BND, gate)
    branch_BND = ff(modulated_norm(x_BND, ff_shift, ff_scale))
    return gated_add(x_BND, branch_BND, ff_gate)
