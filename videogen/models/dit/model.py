"""DiT, SiT and Latte: latents, time, class -> noise or velocity, and perhaps a variance.

With c = time MLP(t) + class table[label], a block with adaLN-zero (arXiv 2212.09748, 3.2) is

    (shift, scale, gate, shift', scale', gate') = Linear(silu(c)), zero at the start
    x += gate * attn1(LN(x) (1 + scale) + shift)
    x += gate' * ff(LN(x) (1 + scale') + shift')

Tokens get the sincos embedding of their coordinates once, at the input. In Latte
(arXiv 2401.03048, 3.2, variant 1) blocks attend by turns within a frame and across frames at
one place, and tokens get the embedding of their frame before the second block. SiT (arXiv
2401.08740) is DiT, told and asked for something else. The modulation, norms' statistics,
residual sums and the output are float32; the rest in `config.dtype`.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Float, Int

from videogen.core.types import Array
from videogen.models.dit.config import DiTConfig
from videogen.nn.attention import SelfAttention
from videogen.nn.groups import Groups, make_groups
from videogen.nn.label import LabelEmbedding
from videogen.nn.linear import Linear
from videogen.nn.mlp import MLP
from videogen.nn.modulation import ModulationMLP, chunks, gated_add, modulated_norm
from videogen.nn.patch import patchify, token_grid, unpatchify
from videogen.nn.position import Tensor, grid_coordinates, sincos, sincos_split
from videogen.nn.stack import make_stack, run_stack, run_turns
from videogen.nn.timestep import TimestepEmbedding
from videogen.ops.attention.api import AttentionPlan
from videogen.parallel.constrain import constrain


def make(
    config: DiTConfig, plan: AttentionPlan | None = None
) -> Callable[[nnx.Rngs], "DiT"]:
    """What `Network.of` takes. No plan: `config.attention`, and no mesh."""
    plan = plan or AttentionPlan(implementation=config.attention)
    return functools.partial(DiT, config, plan)


class DiT(nnx.Module):
    """The whole network."""

    def __init__(self, config: DiTConfig, plan: AttentionPlan, rngs: nnx.Rngs):
        self.config = config
        width, num_classes = config.width, config.num_classes
        self.patch_embedding = Linear(config.token_dim, width, rngs=rngs)
        self.time_embedder = TimestepEmbedding(config.freq_dim, width, rngs=rngs)
        self.class_embedder = (
            LabelEmbedding(num_classes, width, rngs=rngs) if num_classes else None
        )
        make_block = functools.partial(Block, config, plan)
        self.blocks = make_stack(make_block, config.depth, rngs)
        self.norm_out = ModulationMLP(width, 2, rngs=rngs)
        self.proj_out = Linear(width, config.out_dim, init="zeros", rngs=rngs)

    def __call__(
        self,
        latent_BFHWC: Float[Array, "B F H W C"],
        t_B: Float[Array, "B"],
        label_B: Int[Array, "B"] | None = None,
        **_: Any,
    ) -> Float[Array, "B F H W O"]:
        """prediction_BFHWO, float32. A label of -1, or no labels, is the null class.

        O: latent_channels, unless the config says more. Other conditions are ignored.
        Raises ConfigError if the patch does not divide the latent.
        """
        patch = self.config.patch
        grid = token_grid(latent_BFHWC.shape[1:4], patch)
        tokens_BNP = self.tokens(
            patchify(latent_BFHWC, patch), grid_coordinates(grid), t_B, label_B
        )
        return unpatchify(tokens_BNP, grid, patch)

    def tokens(
        self,
        tokens_BNP: Float[Array, "B N P"],
        coords_N4: Float[Tensor, "*b N 4"],
        t_B: Float[Array, "B"],
        label_B: Int[Array, "B"] | None,
    ) -> Float[Array, "B N O"]:
        """What is predicted for each token, wherever its coordinates say it is; float32."""
        config = self.config
        dtype = jnp.dtype(config.dtype)
        c_BD = self.time_embedder(t_B)
        if self.class_embedder is not None:
            null_B = jnp.full(t_B.shape, -1, jnp.int32)
            c_BD += self.class_embedder(null_B if label_B is None else label_B)
        x_BND = self.patch_embedding(tokens_BNP.astype(dtype))
        position_ND = position(config, coords_N4).astype(dtype)
        x_BND = constrain(x_BND + position_ND, "batch tokens features")
        run = self._by_turns if config.factorised else self._all
        x_BND = run(x_BND, c_BD, coords_N4)
        shift, scale = chunks(self.norm_out(c_BD))
        x_BND = modulated_norm(x_BND.astype(jnp.float32), shift, scale)
        return self.proj_out(x_BND)

    def _all(self, x_BND: Array, c_BD: Array, coords_N4: Tensor) -> Array:
        """x after blocks that attend all tokens."""
        return run_stack(
            self.blocks,
            lambda block, x: block(x, c_BD, coords_N4),
            x_BND,
            remat=self.config.remat,
        )

    def _by_turns(self, x_BND: Array, c_BD: Array, coords_N4: Tensor) -> Array:
        """x after blocks that attend within frames and across them, by turns."""
        config = self.config
        frame_ND = sincos(coords_N4, (config.width, 0, 0))
        is_new = jnp.asarray(float(config.position == "sincos_2d"))
        frames, places = (make_groups(x, coords_N4) for x in ("spatial", "temporal"))

        def within(block: Block, state: tuple[Array, Array]) -> tuple[Array, Array]:
            x_BND, is_new = state
            return block(x_BND, c_BD, coords_N4, frames), is_new

        def across(block: Block, state: tuple[Array, Array]) -> tuple[Array, Array]:
            x_BND, is_new = state
            x_BND = x_BND + (is_new * frame_ND).astype(x_BND.dtype)
            return block(x_BND, c_BD, coords_N4, places), jnp.zeros_like(is_new)

        return run_turns(
            self.blocks, (within, across), (x_BND, is_new), remat=config.remat
        )[0]


def position(config: DiTConfig, coords_N4: Tensor) -> Array:
    """What is added to tokens at the input: (*b, N, D), float32."""
    if config.position == "sincos":
        return sincos(coords_N4, sincos_split(config.width))
    half = config.width // 2
    return sincos(coords_N4[..., (0, 2, 1, 3)], (0, half, half))  # columns come first


class Block(nnx.Module):
    """Self-attention and MLP, each modulated and gated by its own linear layer."""

    def __init__(self, config: DiTConfig, plan: AttentionPlan, rngs: nnx.Rngs):
        width = config.width
        self.norm1 = ModulationMLP(width, 6, rngs=rngs)
        self.attn1 = SelfAttention(width, config.num_heads, plan=plan, rngs=rngs)
        self.ff = MLP(width, config.mlp_width, rngs=rngs)

    def __call__(
        self,
        x_BND: Float[Array, "B N D"],
        c_BD: Float[Array, "B D"],
        coords_N4: Float[Tensor, "*b N 4"],
        groups: Groups | None = None,
    ) -> Float[Array, "B N D"]:
        """groups: of tokens that attend each other; None: all."""
        mod = chunks(self.norm1(c_BD))
        shift, scale, gate, ff_shift, ff_scale, ff_gate = mod
        branch_BND = modulated_norm(x_BND, shift, scale)
        if groups is None:
            branch_BND = self.attn1(branch_BND, coords_N4=coords_N4)
        else:
            branch_BND = groups.attend(self.attn1, branch_BND, None)
        x_BND = gated_add(x_BND, branch_BND, gate)
        branch_BND = self.ff(modulated_norm(x_BND, ff_shift, ff_scale))
        x_BND = gated_add(x_BND, branch_BND, ff_gate)
        return constrain(x_BND, "batch tokens features")
