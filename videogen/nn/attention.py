"""Multi-head attention layers around the attention operation. Names as in diffusers."""

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Bool, Float, Int

from videogen.core.types import Array
from videogen.nn.linear import Linear
from videogen.nn.norm import RMSNorm
from videogen.nn.position import rotate
from videogen.ops.attention.api import AttentionPlan
from videogen.parallel.constrain import constrain

DEFAULT_PLAN = AttentionPlan()
Rotation = tuple[Array, Array]  # (cos, sin) of `position.rope`


class Projections(nnx.Module):
    """to_q, to_k, to_v, to_out and the norms of q and k: what both attentions share."""

    def __init__(
        self,
        width: int,
        num_heads: int,
        *,
        kv_dim: int | None = None,
        qk_norm: str | None = None,
        bias: bool = True,
        plan: AttentionPlan = DEFAULT_PLAN,
        rngs: nnx.Rngs,
    ):
        """`qk_norm`: None, "rms_full" (over D, before the cut into heads), "rms_head"."""
        assert qk_norm in (None, "rms_full", "rms_head"), qk_norm
        kv_dim = width if kv_dim is None else kv_dim
        self.num_heads, self.qk_norm, self.plan = num_heads, qk_norm, plan
        self.to_q = Linear(width, width, bias=bias, rngs=rngs)
        self.to_k = Linear(kv_dim, width, bias=bias, rngs=rngs)
        self.to_v = Linear(kv_dim, width, bias=bias, rngs=rngs)
        self.to_out = Linear(width, width, bias=bias, rngs=rngs)
        norm_dim = width if qk_norm == "rms_full" else width // num_heads
        self.norm_q = RMSNorm(norm_dim) if qk_norm else None
        self.norm_k = RMSNorm(norm_dim) if qk_norm else None

    def _heads(self, x_BSD: Array, norm: RMSNorm | None, tokens: str) -> Array:
        """x_BSKE: normed over all of D or over each head's E, and cut into heads."""
        batch, length, width = x_BSD.shape
        shape = (batch, length, self.num_heads, width // self.num_heads)
        if norm is not None and self.qk_norm == "rms_full":
            x_BSKE = norm(x_BSD).reshape(shape)
        elif norm is not None:
            x_BSKE = norm(x_BSD.reshape(shape))
        else:
            x_BSKE = x_BSD.reshape(shape)
        return constrain(x_BSKE, f"batch {tokens} heads head_dim")

    def _attend(
        self, q_BNKE: Array, k_BSGE: Array, v_BSGE: Array, q_segments, kv_segments
    ) -> Array:
        o_BNKE = self.plan(
            q_BNKE,
            k_BSGE,
            v_BSGE,
            q_segments_BN=q_segments,
            kv_segments_BS=kv_segments,
        )
        o_BND = o_BNKE.reshape(*o_BNKE.shape[:2], -1)
        return self.to_out(constrain(o_BND, "batch tokens heads"))


class SelfAttention(Projections):
    """Tokens attend tokens; with segments, only those of their own segment (packing)."""

    def __call__(
        self,
        x_BND: Float[Array, "B N D"],
        rotation: Rotation | None = None,
        segments_BN: Int[Array, "B N"] | None = None,
    ) -> Float[Array, "B N D"]:
        q_BNKE = self._heads(self.to_q(x_BND), self.norm_q, "tokens")
        k_BNKE = self._heads(self.to_k(x_BND), self.norm_k, "tokens")
        v_BNKE = self._heads(self.to_v(x_BND), None, "tokens")
        if rotation is not None:
            q_BNKE, k_BNKE = rotate(q_BNKE, *rotation), rotate(k_BNKE, *rotation)
        return self._attend(q_BNKE, k_BNKE, v_BNKE, segments_BN, segments_BN)


class CrossAttention(Projections):
    """Tokens attend text, but never a position of the text whose mask is False."""

    def __call__(
        self,
        x_BND: Float[Array, "B N D"],
        text_BLX: Float[Array, "B L X"],
        text_mask_BL: Bool[Array, "B L"] | None = None,
    ) -> Float[Array, "B N D"]:
        """`text_BLX` has the width `kv_dim`. Without a true mask the output is to_out(0)."""
        q_BNKE = self._heads(self.to_q(x_BND), self.norm_q, "tokens")
        k_BLKE = self._heads(self.to_k(text_BLX), self.norm_k, "text")
        v_BLKE = self._heads(self.to_v(text_BLX), None, "text")
        if text_mask_BL is None:
            return self._attend(q_BNKE, k_BLKE, v_BLKE, None, None)
        tokens_BN = jnp.ones(x_BND.shape[:2], jnp.int32)
        text_BL = text_mask_BL.astype(jnp.int32)
        return self._attend(q_BNKE, k_BLKE, v_BLKE, tokens_BN, text_BL)
