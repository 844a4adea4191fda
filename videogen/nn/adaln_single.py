"""PixArt's adaLN-single (arXiv 2310.00426, section 2.3): the block, and what all blocks share.

With e = time MLP(t), m = Linear(silu(e)) in R^(6 x D) shared by all blocks, and a learned
table in R^(6 x D) per block, a block is

    (shift, scale, gate, shift', scale', gate') = table + m
    x += gate * attn1(norm1(x) (1 + scale) + shift)
    x += attn2(norm2(x), text)
    x += gate' * ffn(norm3(x) (1 + scale') + shift')

Modulation, norms' statistics and the gated sums are float32; the rest, the
cross-attention's sum included, runs in the dtype of x.
"""

import jax
from flax import nnx
from jaxtyping import Bool, Float, Int

from videogen.core.types import Array
from videogen.nn.attention import CrossAttention, Rotation, SelfAttention
from videogen.nn.groups import Groups
from videogen.nn.linear import Linear
from videogen.nn.mlp import make_mlp
from videogen.nn.modulation import (
    ModulationMLP,
    chunks,
    gated_add,
    modulated_norm,
    modulation_table,
)
from videogen.nn.norm import make_norm
from videogen.nn.pack import spread
from videogen.nn.position import Tensor
from videogen.nn.timestep import TimestepEmbedding
from videogen.nn.weight import weight
from videogen.ops.attention.api import AttentionPlan
from videogen.parallel.constrain import constrain


class SharedModulation(nnx.Module):
    """Time -> e and m of the module's docstring, in float32."""

    def __init__(self, width: int, freq_dim: int, *, own: bool = False, rngs: nnx.Rngs):
        """own: blocks have a modulation of their own, and get e in the place of m."""
        self.time_embedder = TimestepEmbedding(freq_dim, width, rngs=rngs)
        self.time_proj = None if own else Linear(width, 6 * width, rngs=rngs)

    def modulation(
        self, t_B: Float[Array, "*B"], more_BD: Float[Array, "..."] | None = None
    ) -> tuple[Float[Array, "*B D"], Float[Array, "..."]]:
        """(time_BD, mod_B6D); `more_BD` is added to the time's embedding."""
        time_BD = self.time_embedder(t_B)
        if more_BD is not None:
            time_BD = time_BD + more_BD
        if self.time_proj is None:
            return time_BD, time_BD
        mod_BX = self.time_proj.of_rows(jax.nn.silu(time_BD))
        return time_BD, mod_BX.reshape(*time_BD.shape[:-1], 6, -1)


class Block(nnx.Module):
    """Self-attention, cross-attention, MLP; see the module's docstring."""

    def __init__(
        self,
        width: int,
        num_heads: int,
        mlp_width: int,
        *,
        mlp: str = "gelu_tanh",
        bias: bool = True,
        mlp_bias: bool = True,
        norm: str = "layer",
        cross_norm: str | None = None,
        norm_eps: float = 1e-6,
        qk_norm: str | None = None,
        cross_qk_norm: str | None = None,
        has_text: bool = True,
        has_image: bool = False,
        own_modulation: bool = False,
        plan: AttentionPlan,
        rngs: nnx.Rngs,
    ):
        """Names as in nn.norm.NORMS, nn.attention.QK_NORMS, nn.mlp.MLPS; None: none.

        bias: of the attentions. has_text: False for a block without cross-attention.
        own_modulation: the six vectors are Linear(silu(e)), zero at the start, of the block
            alone: DiT's adaLN-zero, which Goku's blocks keep.
        """
        heads = {"width": width, "num_heads": num_heads, "bias": bias, "plan": plan}
        self.norm1 = make_norm(norm, width, eps=norm_eps)
        self.attn1 = SelfAttention(**heads, qk_norm=qk_norm, rngs=rngs)
        self.norm2 = make_norm(cross_norm, width, eps=norm_eps) if cross_norm else None
        more = {"qk_norm": cross_qk_norm, "has_image": has_image, "rngs": rngs}
        self.attn2 = CrossAttention(**heads, **more) if has_text else None
        self.norm3 = make_norm(norm, width, eps=norm_eps)
        self.ffn = make_mlp(mlp, width, mlp_width, bias=mlp_bias, rngs=rngs)
        self.modulation = ModulationMLP(width, 6, rngs=rngs) if own_modulation else None
        self.scale_shift_table = (
            None if own_modulation else modulation_table(6, width, rngs=rngs)
        )

    def __call__(
        self,
        x_BND: Float[Array, "B N D"],
        mod_BJD: Float[Array, "B *NJ D"],
        text_BLD: Float[Array, "B L D"],
        text_mask_BL: Bool[Array, "B L"] | Int[Array, "B L"] | None,
        rotation: Rotation | None,
        coords_N4: Float[Tensor, "*b N 4"] | None = None,
        image_BLD: Float[Array, "B I D"] | None = None,
        groups: Groups | None = None,
        segments_BN: Int[Array, "B N"] | None = None,
        num_tokens: int | None = None,
    ) -> Float[Array, "B N D"]:
        """groups: within which tokens attend tokens; None: all, as the plan says.

        segments_BN: of packed clips, whose tokens attend each other and the text tokens
            of the same id; text_mask_BL holds those, and mod_BJD is of clips.
        num_tokens: those that are attended; what follows is padding (nn/padding.py).
        """
        if self.modulation is not None:
            mod_BJD = self.modulation(mod_BJD)
        if self.scale_shift_table is not None:
            mod_BJD = weight(self.scale_shift_table) + mod_BJD
        vectors = chunks(mod_BJD)
        if segments_BN is not None:  # of clips; only what is used is spread over tokens
            vectors = [spread(x, segments_BN) for x in vectors]
        shift, scale, gate, ffn_shift, ffn_scale, ffn_gate = vectors
        branch_BND = modulated_norm(x_BND, shift, scale, norm=self.norm1.normed)
        if groups is None:
            branch_BND = self.attn1(
                *(branch_BND, rotation, segments_BN, coords_N4), num_tokens=num_tokens
            )
        else:
            branch_BND = groups.attend(self.attn1, branch_BND, rotation)
        x_BND = gated_add(x_BND, branch_BND, gate)
        if self.attn2 is not None:
            query_BND = x_BND if self.norm2 is None else self.norm2(x_BND)
            x_BND = x_BND + self.attn2(
                *(query_BND, text_BLD, text_mask_BL, image_BLD, segments_BN)
            )
        branch_BND = modulated_norm(x_BND, ffn_shift, ffn_scale, norm=self.norm3.normed)
        x_BND = gated_add(x_BND, self.ffn(branch_BND), ffn_gate)
        return constrain(x_BND, "batch tokens features")
