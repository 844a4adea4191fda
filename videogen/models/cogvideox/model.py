"""CogVideoX's expert transformer: latents, time, text -> velocity.

[video; text] is one sequence to every weight but those of the modulation, which video and
text have apart ("expert adaptive LayerNorm", arXiv 2408.06072, section 2.2). With e = time
MLP(t) in R^512, and a learned LN shared by both, a block is, for attn and for the MLP,

    (shift, scale, gate, shift', scale', gate') = Linear(silu(e)), of its own
    y = layer([LN(x) (1 + scale) + shift; LN(text) (1 + scale') + shift'])
    x += gate y_video,  text += gate' y_text

and the output is Linear(LN(LN(x)) (1 + scale'') + shift''). Positions: rotary, of video
tokens only (5B); or sincos, added to them (2B); the 5B's I2V adds a learned table to both.

The released 1.5 cuts two frames into a token and gets an even number of latent frames from
outside of the network: in training a copy of the first latent frame is put before an odd
number of them, then all get noise; in sampling a frame more is drawn, and the first one of
the result is dropped. So here: an odd number is an error that says what would work.

Modulation, norms' statistics, the gated sums and the output are float32; the rest runs in
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
from videogen.models.cogvideox.config import CogVideoXConfig
from videogen.nn.attention import Rotation, SelfAttention, segments_of_text
from videogen.nn.linear import Linear
from videogen.nn.mlp import MLP
from videogen.nn.modulation import ModulationMLP, chunks, gated_add, modulated_norm
from videogen.nn.norm import LayerNorm
from videogen.nn.patch import beside_given, patchify, token_grid, unpatchify
from videogen.nn.position import Tensor, grid_coordinates, rope, sincos, sincos_split
from videogen.nn.position_table import PositionTable
from videogen.nn.stack import make_stack, run_stack
from videogen.nn.timestep import TimestepEmbedding
from videogen.ops.attention.api import AttentionPlan
from videogen.parallel.constrain import constrain

Streams = tuple[Array, Array]  # video_BND, text_BLD


def make(
    config: CogVideoXConfig, plan: AttentionPlan | None = None
) -> Callable[[nnx.Rngs], "CogVideoX"]:
    """What `Network.of` takes. No plan: `config.attention`, and no mesh."""
    plan = plan or AttentionPlan(implementation=config.attention)
    plan = dataclasses.replace(plan, pattern=None)  # patterns are of video
    return functools.partial(CogVideoX, config, plan)


class CogVideoX(nnx.Module):
    """The whole network."""

    def __init__(self, config: CogVideoXConfig, plan: AttentionPlan, rngs: nnx.Rngs):
        self.config = config
        width, time_dim = config.width, config.time_dim
        self.patch_embed = InputEmbedder(config, rngs)
        self.time_embedding = TimestepEmbedding(config.freq_dim, time_dim, rngs=rngs)
        self.ofs_embedding = (
            None
            if config.offset is None
            else TimestepEmbedding(time_dim, time_dim, rngs=rngs)
        )
        make_block = functools.partial(Block, config, plan)
        self.blocks = make_stack(make_block, config.depth, rngs)
        self.norm_final = LayerNorm(width, eps=config.norm_eps)
        self.norm_out = AdaptiveNorm(config, 2, rngs)
        # Zeros: a new network predicts no velocity, whatever its depth.
        self.proj_out = Linear(width, config.token_dim, init="zeros", rngs=rngs)

    def __call__(
        self,
        latent_BFHWC: Float[Array, "B F H W C"],
        t_B: Float[Array, "B"],
        text_BLD: Float[Array, "B L X"] | None = None,
        text_mask_BL: Bool[Array, "B L"] | None = None,
        given_BFHWC: Float[Array, "B F H W G"] | None = None,
        **_: Any,
    ) -> Float[Array, "B F H W C"]:
        """velocity_BFHWC, float32. Other conditions are ignored.

        given_BFHWC: I2V: the latent of the given first frame, zeros after it; left out:
            nothing is given.

        Raises ConfigError without text or what else the config asks for, or if the patch
        does not divide the latent.
        """
        config, patch = self.config, self.config.patch
        if text_BLD is None:
            raise ConfigError("model.family=cogvideox needs text_BLD in the batch")
        grid = token_grid(latent_BFHWC.shape[1:4], patch)
        whole = beside_given(latent_BFHWC, given_BFHWC, config.given_channels)
        tokens_BNP, coords_N4 = patchify(whole, patch), grid_coordinates(grid)
        tokens_BNP = self.tokens(tokens_BNP, coords_N4, t_B, text_BLD, text_mask_BL)
        return unpatchify(tokens_BNP, grid, patch)

    def tokens(
        self,
        tokens_BNP: Float[Array, "B N P"],
        coords_N4: Float[Tensor, "*b N 4"],
        t_B: Float[Array, "B"],
        text_BLX: Float[Array, "B L X"],
        text_mask_BL: Bool[Array, "B L"] | None,
    ) -> Float[Array, "B N O"]:
        """The velocity of each token, wherever its coordinates say it is; float32."""
        config = self.config
        scaled_N4 = coords_N4
        if config.position_scale != (1.0, 1.0, 1.0):
            scaled_N4 = coords_N4 * jnp.asarray((*config.position_scale, 1.0))
        c_BD = self._condition(t_B)
        streams = self.patch_embed(tokens_BNP, text_BLX, coords_N4, scaled_N4)
        rotation = self._rotation(scaled_N4, text_BLX.shape[1])
        mask_BL = text_mask_BL if config.mask_text else None
        segments_BS = segments_of_text(tokens_BNP, mask_BL).get("q_segments_BN")
        x_BND, _ = run_stack(
            self.blocks,
            lambda block, streams: block(streams, c_BD, rotation, segments_BS),
            pinned(streams),
            remat=config.remat,
        )
        x_BND = self.norm_final.normed(x_BND)
        shift, scale = chunks(self.norm_out(c_BD))
        normed = self.norm_out.norm.normed
        return self.proj_out(modulated_norm(x_BND, shift, scale, norm=normed))

    def _condition(self, t_B: Array) -> Array:
        c_BD = self.time_embedding(t_B)
        if self.ofs_embedding is not None:
            assert self.config.offset is not None
            # Its sinusoids are of the number itself, those of time of 1000 t.
            c_BD += self.ofs_embedding(jnp.full_like(t_B, self.config.offset / 1000))
        return c_BD

    def _rotation(self, coords_N4: Tensor, text_length: int) -> Rotation | None:
        """Of [video; text]; text is not turned."""
        config = self.config
        if config.position != "rope":
            return None
        split = config.rope_split or sincos_split(config.head_dim)
        cos, sin = rope(coords_N4, split, config.rope_theta)
        pad = [(0, 0)] * (cos.ndim - 2) + [(0, text_length), (0, 0)]
        return jnp.pad(cos, pad, constant_values=1.0), jnp.pad(sin, pad)


class InputEmbedder(nnx.Module):
    """Patches and text to the model's width, with what is added for their places."""

    def __init__(self, config: CogVideoXConfig, rngs: nnx.Rngs):
        self.config = config
        in_dim, width = config.token_dim + config.given_dim, config.width
        self.proj = Linear(in_dim, width, rngs=rngs)
        self.text_proj = Linear(config.text_dim, width, init="normal", rngs=rngs)
        sizes = config.position_sizes
        self.pos_embedding = (
            PositionTable(sizes, config.position_text, width) if min(sizes) else None
        )

    def __call__(
        self,
        tokens_BNP: Float[Array, "B N P"],
        text_BLX: Float[Array, "B L X"],
        coords_N4: Float[Tensor, "*b N 4"],
        scaled_N4: Float[Tensor, "*b N 4"],
    ) -> Streams:
        config, dtype = self.config, jnp.dtype(self.config.dtype)
        x_BND = self.proj(tokens_BNP.astype(dtype))
        text_BLD = self.text_proj(text_BLX.astype(dtype))
        if config.position == "sincos":
            # Their order: frame, column, row.
            turned_N4 = jnp.asarray(scaled_N4)[..., jnp.array([0, 2, 1, 3])]
            position_ND = sincos(turned_N4, sincos_split(config.width))
            x_BND = x_BND + position_ND.astype(dtype)
        if self.pos_embedding is not None:
            x_BND = x_BND + self.pos_embedding(coords_N4).astype(dtype)
            length = text_BLX.shape[1]
            if config.position_text:
                text_BLD = text_BLD + self.pos_embedding.text(length).astype(dtype)
        return x_BND, text_BLD


class AdaptiveNorm(ModulationMLP):
    """The modulation of a norm, and the norm, which is learned."""

    def __init__(self, config: CogVideoXConfig, num_chunks: int, rngs: nnx.Rngs):
        width, time_dim = config.width, config.time_dim
        super().__init__(width, num_chunks, in_dim=time_dim, rngs=rngs)
        self.norm = LayerNorm(width, eps=config.norm_eps)


class Block(nnx.Module):
    """Attention and MLP of one sequence; see the module's docstring."""

    def __init__(self, config: CogVideoXConfig, plan: AttentionPlan, rngs: nnx.Rngs):
        width, num_heads = config.width, config.num_heads
        self.norm1 = AdaptiveNorm(config, 6, rngs)
        self.attn1 = SelfAttention(
            width, num_heads, qk_norm="layer_head", plan=plan, rngs=rngs
        )
        self.norm2 = AdaptiveNorm(config, 6, rngs)
        self.ff = MLP(width, config.mlp_width, rngs=rngs)

    def __call__(
        self,
        streams: Streams,
        c_BD: Float[Array, "B D"],
        rotation: Rotation | None,
        segments_BS: Array | None,
    ) -> Streams:
        attend = functools.partial(
            self.attn1, rotation=rotation, segments_BN=segments_BS
        )
        streams = add_branch(streams, c_BD, self.norm1, attend)
        return pinned(add_branch(streams, c_BD, self.norm2, self.ff))


def add_branch(
    streams: Streams, c_BD: Array, norm: AdaptiveNorm, layer: Callable[[Array], Array]
) -> Streams:
    """Each stream plus its gated part of layer([video; text]), normed and modulated."""
    shift, scale, gate, *of_text = chunks(norm(c_BD))
    text_shift, text_scale, text_gate = of_text
    video_BND, text_BLD = streams
    normed = norm.norm.normed
    parts = (
        modulated_norm(video_BND, shift, scale, norm=normed),
        modulated_norm(text_BLD, text_shift, text_scale, norm=normed),
    )
    y_BSD = layer(jnp.concatenate(parts, axis=1))
    num_video = video_BND.shape[1]
    return (
        gated_add(video_BND, y_BSD[:, :num_video], gate),
        gated_add(text_BLD, y_BSD[:, num_video:], text_gate),
    )


def pinned(streams: Streams) -> Streams:
    video_BND, text_BLD = streams
    video_BND = constrain(video_BND, "batch tokens features")
    return video_BND, constrain(text_BLD, "batch text features")
