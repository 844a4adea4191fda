"""Latte-1, Open-Sora 1.2 and Open-Sora Plan 1.3: latents, time, text -> prediction.

A trunk of pairs of the blocks of `nn.adaln_single`, whose self-attention stays within groups
(`nn.groups`). Latte-1 (arXiv 2401.03048) and Open-Sora (2412.20404) attend within a frame,
then at a place across frames: F (H W)^2 + H W F^2 pairs of tokens for (F H W)^2. Open-Sora
Plan (2412.00131) attends one token in k, first every k-th, then k neighbours of every k^2
(Skiparse). Their cross-attention on the thinned sequences is that on all tokens, for a
query's text does not depend on who else asks.

With e of `nn.adaln_single`, the output is Linear(LN(x) (1 + scale) + shift),
(shift, scale) = table + e. A time may belong to a frame: frames that are given have t = 0,
which is what Open-Sora's mask of frames does to its modulation.

Modulation, norms' statistics, the gated sums and the output are float32.
"""

import functools
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Bool, Float

from videogen.core.errors import ConfigError
from videogen.core.types import Array
from videogen.models.factorised.conditions import ConditionEmbedder
from videogen.models.factorised.config import FactorisedConfig
from videogen.models.factorised.position import (
    frame_position,
    input_position,
    rotation,
)
from videogen.nn.adaln_single import Block
from videogen.nn.attention import Rotation
from videogen.nn.groups import Groups, make_groups, whole_grid
from videogen.nn.linear import Linear
from videogen.nn.modulation import chunks, modulated_norm, modulation_table
from videogen.nn.patch import patchify, token_grid, unpatchify
from videogen.nn.position import Tensor, grid_coordinates
from videogen.nn.stack import make_stack, run_stack
from videogen.ops.attention.api import AttentionPlan
from videogen.parallel.constrain import constrain

# How a block's tokens attend: within which groups, turned by what.
Way = tuple[Groups | None, Rotation | None]


def make(
    config: FactorisedConfig, plan: AttentionPlan | None = None
) -> Callable[[nnx.Rngs], "FactorisedDiT"]:
    """What `Network.of` takes. No plan: `config.attention`, and no mesh.

    ConfigError for a plan with a pattern: these networks have their own.
    """
    plan = plan or AttentionPlan(implementation=config.attention)
    if plan.pattern is not None:
        raise ConfigError(
            f"attention pattern {plan.pattern}: model.family=factorised has patterns of "
            "its own, model.groups; None would work"
        )
    return functools.partial(FactorisedDiT, config, plan)


class FactorisedDiT(nnx.Module):
    """The whole network."""

    def __init__(self, config: FactorisedConfig, plan: AttentionPlan, rngs: nnx.Rngs):
        self.config = config
        width, full = config.width, config.full_pairs
        self.patch_embedding = Linear(config.token_dim, width, rngs=rngs)
        self.condition_embedder = ConditionEmbedder(config, rngs)
        make_pair = functools.partial(Pair, config, plan)
        self.first_blocks = make_stack(make_pair, full, rngs) if full else None
        self.blocks = make_stack(make_pair, config.depth - 2 * full, rngs)
        self.last_blocks = make_stack(make_pair, full, rngs) if full else None
        self.scale_shift_table = modulation_table(2, width, rngs=rngs)
        # Zeros: a new network predicts nothing, whatever its depth.
        self.proj_out = Linear(width, config.out_dim, init="zeros", rngs=rngs)

    def __call__(
        self,
        latent_BFHWC: Float[Array, "B F H W C"],
        t_B: Float[Array, "B *F"],
        text_BLD: Float[Array, "B L X"] | None = None,
        text_mask_BL: Bool[Array, "B L"] | None = None,
        fps_B: Float[Array, "B"] | None = None,
        **_: Any,
    ) -> Float[Array, "B F H W O"]:
        """What is predicted, float32; with learn_sigma, of twice the latent's channels.

        t_B, or t_BF for a time per frame of tokens. Other conditions are ignored.

        Raises ConfigError without text or fps if the config asks for it, for times of
        another number of frames, or if the patch does not divide the latent.
        """
        patch = self.config.patch
        if text_BLD is None:
            raise ConfigError(
                "model.family=factorised needs text_BLD in the batch; dit does not"
            )
        grid = token_grid(latent_BFHWC.shape[1:4], patch)
        if t_B.shape[1:] not in ((), grid[:1]):
            raise ConfigError(
                f"times of shape {t_B.shape}: one for each sample, or one for each of its "
                f"{grid[0]} frames, would work"
            )
        tokens_BNP = self.tokens(
            *(patchify(latent_BFHWC, patch), grid_coordinates(grid), t_B),
            *(text_BLD, text_mask_BL, fps_B),
        )
        return unpatchify(tokens_BNP, grid, patch)

    def tokens(
        self,
        tokens_BNP: Float[Array, "B N P"],
        coords_N4: Float[Tensor, "*b N 4"],
        t_B: Float[Array, "B *F"],
        text_BLX: Float[Array, "B L X"],
        text_mask_BL: Bool[Array, "B L"] | None,
        fps_B: Float[Array, "B"] | None = None,
    ) -> Float[Array, "B N O"]:
        """The prediction for each token, wherever its coordinates say it is; float32.

        All tokens of a grid, in any order. In order, and with NumPy coordinates, attention
        costs what its groups do; else, what the kernel does not skip (see `nn.groups`).
        """
        config = self.config
        dtype = jnp.dtype(config.dtype)
        time_BD, mod_BJD, text_BLD, mask_BL = self.condition_embedder(
            t_B, text_BLX, text_mask_BL, fps_B
        )
        to_tokens = functools.partial(_to_tokens, coords_N4) if t_B.ndim > 1 else _same
        x_BND = self.patch_embedding(tokens_BNP.astype(dtype))
        place_ND = input_position(config, coords_N4)
        if place_ND is not None:
            x_BND = x_BND + place_ND.astype(dtype)
        frame_ND = frame_position(config, coords_N4)
        carry = constrain(x_BND, "batch tokens features"), jnp.float32(1)
        for blocks, names in self._trunk():
            ways = [_way(config, name, coords_N4) for name in names]
            carry = run_stack(
                blocks,
                # A time per frame is spread over tokens here, where it is fused, not kept.
                functools.partial(
                    _pair,
                    lambda: (to_tokens(mod_BJD), text_BLD, mask_BL),
                    ways,
                    frame_ND,
                ),
                carry,
                remat=config.remat,
            )
        shift, scale = chunks(
            self.scale_shift_table[...] + to_tokens(time_BD)[..., None, :]
        )
        x_BND = modulated_norm(carry[0].astype(jnp.float32), shift, scale)
        return self.proj_out(x_BND)

    def _trunk(self) -> Iterator[tuple["Pair", tuple[str | None, str | None]]]:
        """Stacks of pairs in order, and the groups of the two blocks; None: all attend."""
        if self.first_blocks is not None:
            yield self.first_blocks, (None, None)
        yield self.blocks, self.config.groups
        if self.last_blocks is not None:
            yield self.last_blocks, (None, None)


class Pair(nnx.Module):
    """Two blocks, which differ in what attends what."""

    def __init__(self, config: FactorisedConfig, plan: AttentionPlan, rngs: nnx.Rngs):
        sizes = config.width, config.num_heads, config.mlp_width
        more = {"norm_eps": config.norm_eps, "qk_norm": config.qk_norm, "plan": plan}
        self.first = Block(*sizes, **more, rngs=rngs)
        reads = config.text_in_second
        self.second = Block(*sizes, **more, has_text=reads, rngs=rngs)

    def __call__(
        self,
        x_BND: Float[Array, "B N D"],
        conditions: tuple[Array, Array, Array | None],
        ways: list[Way],
        between_ND: Float[Array, "*b N D"] | None,
    ) -> Float[Array, "B N D"]:
        """conditions: mod_BJD, text_BLD and its mask. between_ND: added between the two."""
        (groups, rotation), (groups2, rotation2) = ways
        x_BND = self.first(x_BND, *conditions, rotation, groups=groups)
        if between_ND is not None:
            x_BND = x_BND + between_ND.astype(x_BND.dtype)
        return self.second(x_BND, *conditions, rotation2, groups=groups2)


def _pair(
    conditions: Callable[[], tuple[Array, Array, Array | None]],
    ways: list[Way],
    frame_ND: Array | None,
    pair: Pair,
    carry: tuple[Array, Array],
) -> tuple[Array, Array]:
    """A step of the trunk; is_first, 1 and then 0, lets frame_ND into the first pair."""
    x_BND, is_first = carry
    between_ND = None if frame_ND is None else is_first * frame_ND
    return pair(x_BND, conditions(), ways, between_ND), jnp.zeros_like(is_first)


def _way(config: FactorisedConfig, name: str | None, coords_N4: Tensor) -> Way:
    groups = None if name is None else make_groups(name, coords_N4, config.skip)
    return groups, rotation(config, name, groups, coords_N4)


def _to_tokens(coords_N4: Tensor, x_BFX: Array) -> Array:
    """What belongs to a token's frame, for each token."""
    grid = whole_grid(coords_N4)
    if grid is not None:
        return jnp.repeat(x_BFX, grid[1] * grid[2], axis=1)
    frames_N = jnp.round(coords_N4[..., 0]).astype(jnp.int32)
    frames_BN = jnp.broadcast_to(frames_N, (len(x_BFX), frames_N.shape[-1]))
    return jax.vmap(functools.partial(jnp.take, axis=0))(x_BFX, frames_BN)


def _same(x: Array) -> Array:
    return x
