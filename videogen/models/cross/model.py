"""Wan's transformer and its relatives: latents, time, text -> velocity.

Blocks are those of `nn.adaln_single`, and with its e the output is
Linear(LN(x) (1 + scale'') + shift''), (shift'', scale'') = table'' + e.
PixArt's adaLN-single (arXiv 2310.00426, section 2.3), which is also Wan's (2503.20314, 4.2),
LTX-Video's (2501.00103), Step-Video's (2502.10248), Allegro's (2410.15458) and, as far as
its size tells, Movie Gen's (2410.13720). In Goku (2502.04896) the six vectors of a block
are Linear(silu(e)) of its own, zero at the start: DiT's adaLN-zero. What else they differ in
stands in `config.py`.

Modulation, norms' statistics, the gated sums and the output are float32; the rest, the
cross-attention's sum included, runs in `config.dtype`, as in Wan's released code.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Bool, Float, Int

from videogen.core.errors import ConfigError
from videogen.core.types import Array
from videogen.models.cross.conditions import ConditionEmbedder
from videogen.models.cross.config import CrossConfig
from videogen.nn.adaln_single import Block
from videogen.nn.attention import Rotation
from videogen.nn.image import ImageProjection
from videogen.nn.linear import Linear
from videogen.nn.modulation import chunks, modulated_norm, modulation_table
from videogen.nn.pack import places, spread
from videogen.nn.padding import pad_embedded, pad_tokens, padded_tokens
from videogen.nn.patch import beside_given, patchify, token_grid, unpatchify
from videogen.nn.position import (
    LearnedPositions,
    Tensor,
    fractional_rope,
    grid_coordinates,
    rope,
    rope_split,
)
from videogen.nn.stack import make_stack, run_stack
from videogen.ops.attention.api import AttentionPlan
from videogen.ops.attention.mask import repeat_last
from videogen.parallel.constrain import constrain


def make(
    config: CrossConfig, plan: AttentionPlan | None = None
) -> Callable[[nnx.Rngs], "CrossDiT"]:
    """What `Network.of` takes. No plan: `config.attention`, and no mesh."""
    plan = plan or AttentionPlan(implementation=config.attention)
    return functools.partial(CrossDiT, config, plan)


class CrossDiT(nnx.Module):
    """The whole network."""

    def __init__(self, config: CrossConfig, plan: AttentionPlan, rngs: nnx.Rngs):
        self.config, self.plan = config, plan
        width, in_dim = config.width, config.token_dim + config.given_dim
        self.patch_embedding = Linear(in_dim, width, rngs=rngs)
        self.condition_embedder = ConditionEmbedder(config, rngs)
        image_dim = config.image_dim
        self.image_embedder = (
            ImageProjection(image_dim, width, rngs=rngs) if image_dim else None
        )
        self.positions = (
            LearnedPositions(config.position_sizes, width, rngs=rngs)
            if config.position == "learned"
            else None
        )
        make_one = functools.partial(make_block, config, plan)
        self.blocks = make_stack(make_one, config.depth, rngs)
        self.scale_shift_table = modulation_table(2, width, rngs=rngs)
        # Zeros: a new network predicts no velocity, whatever its depth.
        self.proj_out = Linear(width, config.token_dim, init="zeros", rngs=rngs)

    def __call__(
        self,
        latent_BFHWC: Float[Array, "B F H W C"],
        t_B: Float[Array, "B *N"],
        text_BLD: Float[Array, "B L X"] | None = None,
        text_mask_BL: Bool[Array, "B L"] | None = None,
        label_B: Int[Array, "B"] | None = None,
        given_BFHWC: Float[Array, "B F H W G"] | None = None,
        fps_B: Float[Array, "B"] | None = None,
        **conditions: Any,
    ) -> Float[Array, "B F H W C"]:
        """velocity_BFHWC, float32; t_B, or t_BN for a time per token.

        given_BFHWC: Wan I2V: 4 channels of mask (the frames that are given, of each latent
            frame) and the latent of the given frames; left out: nothing is given.
            Labels are ignored.

        Raises ConfigError without text or what else the config asks for, or if the patch
        does not divide the latent.
        """
        config, patch = self.config, self.config.patch
        if text_BLD is None:
            raise ConfigError(
                "model.family=cross needs text_BLD in the batch; dit does not"
            )
        grid = token_grid(latent_BFHWC.shape[1:4], patch)
        whole = beside_given(latent_BFHWC, given_BFHWC, config.given_channels)
        tokens_BNP = patchify(whole, patch)
        coords = grid_coordinates(grid)
        if fps_B is not None and config.position == "fractional_rope":
            fps_BN = jnp.broadcast_to(fps_B[:, None], (len(fps_B), len(coords)))
            coords = jnp.broadcast_to(coords, (*fps_BN.shape, 4)).at[..., 3].set(fps_BN)
        tokens_BNP = self.tokens(
            *(tokens_BNP, coords, t_B, text_BLD, text_mask_BL), **conditions
        )
        return unpatchify(tokens_BNP, grid, patch)

    def packed(
        self,
        tokens_BNP: Float[Array, "B N P"],
        t_BR: Float[Array, "B R"],
        grid_BR3: Int[Array, "B R 3"],
        text_BLD: Float[Array, "B L X"],
        text_segments_BL: Int[Array, "B L"],
        fps_BR: Float[Array, "B R"] | None = None,
    ) -> Float[Array, "B N P"]:
        """velocity_BNP of packed rows (data/packed.py), float32; a time for each clip."""
        segments_BN, coords_BN4 = places(grid_BR3, tokens_BNP.shape[1], fps_BR)
        return self.tokens(
            *(tokens_BNP, coords_BN4, t_BR, text_BLD, text_segments_BL),
            segments_BN=segments_BN,
        )

    def tokens(
        self,
        tokens_BNP: Float[Array, "B N P"],
        coords_N4: Float[Tensor, "*b N 4"],
        t_B: Float[Array, "B *N"],
        text_BLX: Float[Array, "B L X"],
        text_mask_BL: Bool[Array, "B L"] | Int[Array, "B L"] | None,
        image_BLX: Float[Array, "B I Y"] | None = None,
        segments_BN: Int[Array, "B N"] | None = None,
        **more_texts: Any,
    ) -> Float[Array, "B N O"]:
        """The velocity of each token, wherever its coordinates say it is; float32.

        segments_BN: of packed clips; t_B is then t_BR, and the text's mask their ids.
        """
        num_tokens = tokens_BNP.shape[1]
        if segments_BN is None:
            given = tokens_BNP, coords_N4, t_B
            tokens_BNP, coords_N4, t_B = self.padded(*given, pad=pad_tokens)
        x_BND = self.patch_embedding(tokens_BNP.astype(self.config.dtype))
        x_BND = self.trunk(
            *(x_BND, coords_N4, t_B, text_BLX, text_mask_BL, image_BLX),
            segments_BN=segments_BN,
            num_tokens=num_tokens,
            **more_texts,
        )
        return self.proj_out(x_BND)[:, :num_tokens]

    def padded(
        self,
        x_BNX: Float[Array, "B N X"],
        coords_N4: Float[Tensor, "*b N 4"],
        t_B: Float[Array, "B *N"],
        pad: Callable[[Array, int], Array] = pad_embedded,
    ) -> tuple[Array, Tensor, Array]:
        """The same with padding after the last token, where the mesh cuts tokens."""
        tiled = self.plan.moves_tiles(self.config.num_heads)
        size = padded_tokens(x_BNX.shape[1], self.plan.context, tiled)
        t_B = t_B if t_B.ndim == 1 else repeat_last(t_B, size, 1)
        return pad(x_BNX, size), repeat_last(coords_N4, size, -2), t_B

    def trunk(
        self,
        x_BND: Float[Array, "B N D"],
        coords_N4: Float[Tensor, "*b N 4"],
        t_B: Float[Array, "B *N"],
        text_BLX: Float[Array, "B L X"],
        text_mask_BL: Bool[Array, "B L"] | Int[Array, "B L"] | None,
        image_BLX: Float[Array, "B I Y"] | None = None,
        segments_BN: Int[Array, "B N"] | None = None,
        num_tokens: int | None = None,
        **more_texts: Any,
    ) -> Float[Array, "B N D"]:
        """Embedded tokens -> what the output layer reads, float32.

        num_tokens: those that are attended; what follows is padding (nn/padding.py).
        """
        config = self.config
        dtype = jnp.dtype(config.dtype)
        # Of packs, whose text a token is matters, whether or not padding is attended.
        mask_BL = text_mask_BL if segments_BN is None else None
        time_BD, mod_BJD, text_BLD, used_BL = self.condition_embedder(
            t_B, text_BLX, mask_BL, **more_texts
        )
        if segments_BN is not None:
            used_BL = text_mask_BL
        image_BLD = self._image(image_BLX)
        rotation, position_ND = self._position(coords_N4)
        x_BND = run_stack(
            self.blocks,
            lambda block, x: block(
                x if position_ND is None else x + position_ND.astype(dtype),
                *(mod_BJD, text_BLD, used_BL, rotation, coords_N4, image_BLD),
                segments_BN=segments_BN,
                num_tokens=num_tokens,
            ),
            constrain(x_BND, "batch tokens features"),
            remat=config.remat,
        )
        table_JD = self.scale_shift_table[...]
        shift, scale = chunks(table_JD + time_BD[..., None, :])
        if segments_BN is not None:
            shift, scale = (spread(x, segments_BN) for x in (shift, scale))
        return modulated_norm(x_BND.astype(jnp.float32), shift, scale)

    def _image(self, image_BLX: Array | None) -> Array | None:
        if self.image_embedder is None:
            return None
        if image_BLX is None:
            raise ConfigError(
                f"model.image_dim={self.config.image_dim} needs image_BLX in the batch"
            )
        return self.image_embedder(image_BLX.astype(self.config.dtype))

    def _position(self, coords_N4: Tensor) -> tuple[Rotation | None, Array | None]:
        """How q and k are turned, and what is added to every block's input."""
        config = self.config
        if self.positions is not None:
            return None, self.positions(coords_N4)
        if config.position == "fractional_rope":
            heads = config.width, config.num_heads
            scale = config.rope_scale, config.rope_base
            return fractional_rope(coords_N4, *heads, *scale, config.rope_theta), None
        split = config.rope_split or rope_split(config.head_dim)
        if config.rope_scale != (1.0, 1.0, 1.0):
            coords_N4 = coords_N4 * jnp.asarray((*config.rope_scale, 1.0))
        return rope(coords_N4, split, config.rope_theta), None


def make_block(config: CrossConfig, plan: AttentionPlan, rngs: nnx.Rngs) -> Block:
    """One block as the config says."""
    return Block(
        *(config.width, config.num_heads, config.mlp_width),
        mlp=config.mlp,
        bias=config.bias,
        mlp_bias=config.mlp_bias,
        norm=config.norm,
        cross_norm=config.cross_norm,
        norm_eps=config.norm_eps,
        qk_norm=config.qk_norm,
        cross_qk_norm=config.qk_norm,
        has_image=config.image_dim > 0,
        own_modulation=config.modulation == "own",
        plan=plan,
        rngs=rngs,
    )
