"""HunyuanVideo's transformer and its relatives (MM-DiT): latents, time, text -> velocity.

Video and text are two streams. With the vector c of `conditions.py`, a dual block takes
for each stream, with weights of its own,

    (shift, scale, gate, shift', scale', gate') = Linear(silu(c)), zero at the start
    x += gate * attn(LN(x) (1 + scale) + shift)
    x += gate' * ff(LN(x) (1 + scale') + shift')

where the attention is one, of all tokens of both (arXiv 2403.03206, section 4). A single
block takes [video; text] as one stream, its attention and its MLP side by side:

    (shift, scale, gate) = Linear(silu(c));   y = LN(x) (1 + scale) + shift
    x += gate * (attn(y) + proj_out(gelu(proj_mlp(y))))

which its authors write as one product of [attn; gelu(..)] (arXiv 2302.05442). The output is
Linear(LN(x) (1 + scale'') + shift''). Only video is turned by the rotation. FLUX.1's layout,
HunyuanVideo's (2412.03603), Open-Sora 2.0's (2503.09642); HunyuanVideo-1.5 has no single
blocks.

Modulation, norms' statistics, the gated sums and the output are float32; the rest runs in
`config.dtype`.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Bool, Float, Int

from videogen.core.errors import ConfigError
from videogen.core.types import Array
from videogen.models.joint.conditions import ConditionEmbedder
from videogen.models.joint.config import JointConfig
from videogen.nn.attention import (
    JointAttention,
    Rotation,
    SelfAttention,
    segments_of_text,
)
from videogen.nn.linear import Linear
from videogen.nn.mlp import ACTIVATIONS, MLP
from videogen.nn.modulation import ModulationMLP, chunks, gated_add, modulated_norm
from videogen.nn.patch import beside_given, patchify, token_grid, unpatchify
from videogen.nn.position import Tensor, grid_coordinates, rope, rope_split
from videogen.nn.stack import make_stack, run_stack
from videogen.ops.attention.api import AttentionPlan
from videogen.parallel.constrain import constrain


def make(
    config: JointConfig, plan: AttentionPlan | None = None
) -> Callable[[nnx.Rngs], "JointDiT"]:
    """What `Network.of` takes. No plan: `config.attention`, and no mesh.

    Raises ConfigError for a plan with a pattern: those are of video alone.
    """
    plan = plan or AttentionPlan(implementation=config.attention)
    if plan.pattern is not None:
        raise ConfigError(
            f"model.family=joint attends all of video and text; {plan.pattern} is a "
            "pattern for families whose attention is of video alone"
        )
    return functools.partial(JointDiT, config, plan)


class Vectors(NamedTuple):
    """What modulates: one vector, and where some tokens are clean, theirs."""

    noisy_BD: Array
    clean_BD: Array | None = None
    is_clean_BN1: Array | None = None

    def chunks(self, generator: ModulationMLP) -> tuple[Array, ...]:
        """The generator's vectors, to meet tokens: (B, 1, D), or (B, N, D)."""
        noisy = chunks(generator(self.noisy_BD))
        if self.clean_BD is None or self.is_clean_BN1 is None:
            return noisy
        clean = chunks(generator(self.clean_BD))
        pairs = zip(clean, noisy, strict=True)
        return tuple(jnp.where(self.is_clean_BN1, one, other) for one, other in pairs)

    def followed_by(self, num_text: int) -> "Vectors":
        """For [video; text]: no text is clean."""
        if self.is_clean_BN1 is None:
            return self
        is_clean = jnp.pad(self.is_clean_BN1, ((0, 0), (0, num_text), (0, 0)))
        return self._replace(is_clean_BN1=is_clean)


class JointDiT(nnx.Module):
    """The whole network."""

    def __init__(self, config: JointConfig, plan: AttentionPlan, rngs: nnx.Rngs):
        self.config = config
        width, given_dim = config.width, config.given_dim
        in_dim = config.token_dim + (0 if config.given_embedder else given_dim)
        self.x_embedder = Linear(in_dim, width, rngs=rngs)
        # Zeros: a network that is given frames starts as the one that was not (Open-Sora 2).
        self.given_embedder = (
            Linear(given_dim, width, init="zeros", rngs=rngs)
            if config.given_embedder
            else None
        )
        self.condition_embedder = ConditionEmbedder(config, rngs)
        make_dual = functools.partial(DualBlock, config, plan)
        make_single = functools.partial(SingleBlock, config, plan)
        self.transformer_blocks = make_stack(make_dual, config.depth, rngs)
        self.single_transformer_blocks = (
            make_stack(make_single, config.single_depth, rngs)
            if config.single_depth
            else None
        )
        self.norm_out = ModulationMLP(width, 2, rngs=rngs)
        # Zeros: a new network predicts no velocity, whatever its depth.
        self.proj_out = Linear(width, config.token_dim, init="zeros", rngs=rngs)

    def __call__(
        self,
        latent_BFHWC: Float[Array, "B F H W C"],
        t_B: Float[Array, "B *N"],
        text_BLD: Float[Array, "B L X"] | None = None,
        text_mask_BL: Bool[Array, "B L"] | None = None,
        given_BFHWC: Float[Array, "B F H W G"] | None = None,
        **conditions: Any,
    ) -> Float[Array, "B F H W C"]:
        """velocity_BFHWC, float32.

        given_BFHWC: HunyuanVideo I2V: 16 channels of the given frame's latent and one of
            mask; HunyuanVideo-1.5: 32 and one; zeros for nothing given. Open-Sora 2.0: one
            of mask, then 16. With `clean_first_frame` the caller puts it in the latent,
            and may tell a time per token: that of the last one is all other frames'.
        conditions: text2_BLX and its mask, image_BLX (left out, or zeros: no image),
            pooled_BX, guidance_B, where the config has them. Others are ignored.

        Raises ConfigError without text or what else the config asks for, or if the patch
        does not divide the latent.
        """
        config, patch = self.config, self.config.patch
        if text_BLD is None:
            raise ConfigError(
                "model.family=joint needs text_BLD in the batch; dit does not"
            )
        if t_B.ndim > 1 and config.clean_first_frame:
            t_B = t_B[:, -1]
        whole = beside_given(latent_BFHWC, given_BFHWC, config.given_channels)
        grid = token_grid(latent_BFHWC.shape[1:4], patch)
        tokens_BNP, given_BNP = patchify(whole, patch), None
        if config.given_embedder:
            tokens_BNP = patchify(latent_BFHWC, patch)
            given_BNP = patchify(whole[..., latent_BFHWC.shape[-1] :], patch)
        coords = grid_coordinates(grid)
        tokens_BNP = self.tokens(
            *(tokens_BNP, coords, t_B, text_BLD, text_mask_BL),
            given_BNP=given_BNP,
            **conditions,
        )
        return unpatchify(tokens_BNP, grid, patch)

    def tokens(
        self,
        tokens_BNP: Float[Array, "B N P"],
        coords_N4: Float[Tensor, "*b N 4"],
        t_B: Float[Array, "B"],
        text_BLX: Float[Array, "B L X"],
        text_mask_BL: Bool[Array, "B L"] | None,
        given_BNP: Float[Array, "B N G"] | None = None,
        **conditions: Any,
    ) -> Float[Array, "B N O"]:
        """The velocity of each token, wherever its coordinates say it is; float32."""
        config = self.config
        dtype = jnp.dtype(config.dtype)
        vectors = self._vectors(coords_N4, t_B, **conditions)
        text_BLD, text_mask_BL = self.condition_embedder.tokens(
            t_B, text_BLX, text_mask_BL, **conditions
        )
        split = config.rope_split or rope_split(config.head_dim)
        rotation = rope(coords_N4, split, config.rope_theta)
        x_BND = self.x_embedder(tokens_BNP.astype(dtype))
        if self.given_embedder is not None and given_BNP is not None:
            x_BND = x_BND + self.given_embedder(given_BNP.astype(dtype))
        x_BND, text_BLD = run_stack(
            self.transformer_blocks,
            lambda block, x: block(x[0], x[1], vectors, rotation, text_mask_BL),
            (constrain(x_BND, "batch tokens features"), text_BLD),
            remat=config.remat,
        )
        x_BND = self._single(x_BND, text_BLD, vectors, rotation, text_mask_BL)
        scale, shift = chunks(self.norm_out(vectors.noisy_BD))
        x_BND = modulated_norm(x_BND.astype(jnp.float32), shift, scale)
        return self.proj_out(x_BND)

    def _vectors(self, coords_N4: Tensor, t_B: Array, **conditions: Any) -> Vectors:
        noisy_BD = self.condition_embedder.vector(t_B, **conditions)
        if not self.config.clean_first_frame:
            return Vectors(noisy_BD)
        clean_BD = self.condition_embedder.clean_vector(t_B, **conditions)
        is_clean_BN = jnp.atleast_2d(jnp.asarray(coords_N4)[..., 0] == 0)
        return Vectors(noisy_BD, clean_BD, is_clean_BN[..., None])

    def _single(
        self,
        x_BND: Array,
        text_BLD: Array,
        vectors: Vectors,
        rotation: Rotation,
        text_mask_BL: Array | None,
    ) -> Array:
        """The video of [video; text] after the single blocks."""
        if self.single_transformer_blocks is None:
            return x_BND
        num_video, num_text = x_BND.shape[1], text_BLD.shape[1]
        segments_BS = segments_of_text(x_BND, text_mask_BL).get("q_segments_BN")
        vectors, rotation = vectors.followed_by(num_text), still(rotation, num_text)
        x_BSD = jnp.concatenate([x_BND, text_BLD], axis=1)
        x_BSD = run_stack(
            self.single_transformer_blocks,
            lambda block, x: block(x, vectors, rotation, segments_BS),
            constrain(x_BSD, "batch tokens features"),
            remat=self.config.remat,
        )
        return x_BSD[:, :num_video]


def still(rotation: Rotation, num_text: int) -> Rotation:
    """The rotation of [video; text]: text is not turned."""
    cos, sin = rotation
    pad = [(0, 0)] * (cos.ndim - 2) + [(0, num_text), (0, 0)]
    return jnp.pad(cos, pad, constant_values=1.0), jnp.pad(sin, pad)


class DualBlock(nnx.Module):
    """Two streams, joint in the attention; see the module's docstring."""

    def __init__(self, config: JointConfig, plan: AttentionPlan, rngs: nnx.Rngs):
        width, mlp_width = config.width, config.mlp_width
        self.norm1 = ModulationMLP(width, 6, rngs=rngs)
        self.norm1_context = ModulationMLP(width, 6, rngs=rngs)
        sizes = {"qk_norm": "rms_head", "plan": plan, "rngs": rngs}
        self.attn = JointAttention(width, config.num_heads, **sizes)
        self.ff = MLP(width, mlp_width, rngs=rngs)
        self.ff_context = MLP(width, mlp_width, rngs=rngs)

    def __call__(
        self,
        x_BND: Float[Array, "B N D"],
        text_BLD: Float[Array, "B L D"],
        vectors: Vectors,
        rotation: Rotation,
        text_mask_BL: Bool[Array, "B L"] | None,
    ) -> tuple[Float[Array, "B N D"], Float[Array, "B L D"]]:
        mod = vectors.chunks(self.norm1)
        text_mod = chunks(self.norm1_context(vectors.noisy_BD))
        video_BND, attended_BLD = self.attn(
            modulated_norm(x_BND, *mod[:2]),
            modulated_norm(text_BLD, *text_mod[:2]),
            rotation,
            text_mask_BL,
        )
        assert attended_BLD is not None
        x_BND = _finish(x_BND, video_BND, mod, self.ff)
        text_BLD = _finish(text_BLD, attended_BLD, text_mod, self.ff_context)
        x_BND = constrain(x_BND, "batch tokens features")
        return x_BND, constrain(text_BLD, "batch text features")


def _finish(
    x_BND: Array, attended_BND: Array, mod: tuple[Array, ...], ff: MLP
) -> Array:
    """One stream after the attention."""
    gate, ff_shift, ff_scale, ff_gate = mod[2:]
    x_BND = gated_add(x_BND, attended_BND, gate)
    branch_BND = ff(modulated_norm(x_BND, ff_shift, ff_scale))
    return gated_add(x_BND, branch_BND, ff_gate)


class SingleBlock(nnx.Module):
    """Attention and MLP side by side, of one stream; see the module's docstring.

    The authors' one output projection is two here, attn.to_out and proj_out, whose inputs
    are each cut over devices as their own sublayer is; its bias is that of attn.to_out.
    """

    def __init__(self, config: JointConfig, plan: AttentionPlan, rngs: nnx.Rngs):
        width, mlp_width = config.width, config.mlp_width
        self.norm = ModulationMLP(width, 3, rngs=rngs)
        sizes = {"qk_norm": "rms_head", "plan": plan, "rngs": rngs}
        self.attn = SelfAttention(width, config.num_heads, **sizes)
        self.proj_mlp = Linear(width, mlp_width, rngs=rngs)
        self.proj_out = Linear(mlp_width, width, bias=False, rngs=rngs)

    def __call__(
        self,
        x_BSD: Float[Array, "B S D"],
        vectors: Vectors,
        rotation: Rotation,
        segments_BS: Int[Array, "B S"] | None,
    ) -> Float[Array, "B S D"]:
        shift, scale, gate = vectors.chunks(self.norm)
        y_BSD = modulated_norm(x_BSD, shift, scale)
        h_BSM = constrain(self.proj_mlp(y_BSD), "batch tokens mlp")
        branch_BSD = self.proj_out(ACTIVATIONS["gelu_tanh"](h_BSM)).astype(jnp.float32)
        branch_BSD += self.attn(y_BSD, rotation, segments_BS)
        x_BSD = gated_add(x_BSD, branch_BSD, gate)
        return constrain(x_BSD, "batch tokens features")
