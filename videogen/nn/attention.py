"""Multi-head attention layers around the attention operation. Names as in diffusers.

The projections write what kernels read, q_BKEN, k_BKSE, v_BKES, and to_out reads the o_BKEN
that they write: each is one product with a weight seen as (X, K, E) or (K, E, D), whose
result the compiler stores as it is wanted. Norm and rotation work along the dim where E
stands. Nothing is transposed.

Kernels take exponentials in base 2, of scores times scale * log2(e). So log2(e) / sqrt(E)
goes into q where a factor costs nothing, the weight of its norm or else those of to_q, and
the scale is ln 2: kernels have nothing left to multiply.
"""

import dataclasses
import math
from typing import Any, Literal

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Bool, Float, Int

from videogen.core.types import Array
from videogen.nn.linear import Linear, add_bias
from videogen.nn.norm import RMSNorm, rms_norm
from videogen.nn.position import Tensor, rotate
from videogen.ops.attention.api import AttentionPlan
from videogen.parallel.constrain import constrain

DEFAULT_PLAN = AttentionPlan()
Rotation = tuple[Array, Array]  # (cos_NE, sin_NE) of `position.rope`, or _BNE
Dim = Literal[-1, -2]  # where E stands in a projection: (B, K, S, E) or (B, K, E, S)


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
        """`qk_norm`: None, "rms_full" (over all heads together), "rms_head"."""
        assert qk_norm in (None, "rms_full", "rms_head"), qk_norm
        kv_dim = width if kv_dim is None else kv_dim
        self.num_heads, self.head_dim = num_heads, width // num_heads
        self.qk_norm, self.plan = qk_norm, plan
        self.to_q = Linear(width, width, bias=bias, rngs=rngs)
        self.to_k = Linear(kv_dim, width, bias=bias, rngs=rngs)
        self.to_v = Linear(kv_dim, width, bias=bias, rngs=rngs)
        self.to_out = Linear(width, width, bias=bias, rngs=rngs)
        norm_dim = width if qk_norm == "rms_full" else self.head_dim
        self.norm_q = RMSNorm(norm_dim) if qk_norm else None
        self.norm_k = RMSNorm(norm_dim) if qk_norm else None

    def _queries(self, x_BND: Array, rotation: Rotation | None = None) -> Array:
        """q_BKEN, with log2(e) / sqrt(E) in it."""
        factor = math.log2(math.e) / math.sqrt(self.head_dim)
        return self._heads(self.to_q, self.norm_q, x_BND, rotation, -2, factor=factor)

    def _keys(
        self, x_BSX: Array, rotation: Rotation | None = None, tokens: str = "tokens"
    ) -> Array:
        """k_BKSE."""
        return self._heads(self.to_k, self.norm_k, x_BSX, rotation, -1, tokens=tokens)

    def _values(self, x_BSX: Array, tokens: str = "tokens") -> Array:
        """v_BKES."""
        return self._heads(self.to_v, None, x_BSX, None, -2, tokens=tokens)

    def _heads(
        self,
        linear: Linear,
        norm: RMSNorm | None,
        x_BSX: Array,
        rotation: Rotation | None,
        dim: Dim,
        *,
        tokens: str = "tokens",
        factor: float = 1.0,
    ) -> Array:
        """factor * linear(x), cut into heads whose E stands at `dim`, normed, turned."""
        of_linear = factor if norm is None else 1.0
        kernel_XKE = self._cut(linear.kernel[...] * of_linear).astype(x_BSX.dtype)
        dims = "BSX,XKE->BKSE" if dim == -1 else "BSX,XKE->BKES"
        x = jnp.einsum(dims, x_BSX, kernel_XKE)
        if linear.bias is not None:
            bias_KE = self._cut(linear.bias[...] * of_linear)
            x = add_bias(x, _beside(bias_KE, dim))
        if norm is not None:
            scale = _beside(self._cut(norm.scale[...] * factor), dim)
            x = rms_norm(
                x, scale, (-3, dim) if self.qk_norm == "rms_full" else dim, norm.eps
            )
        if rotation is not None:
            cos, sin = (t if dim == -1 else t.mT for t in rotation)
            x = rotate(x, cos[..., None, :, :], sin[..., None, :, :], dim=dim)
        names = (tokens, "head_dim") if dim == -1 else ("head_dim", tokens)
        return constrain(x, " ".join(("batch heads", *names)))

    def _cut(self, weight: Array) -> Array:
        """(..., K, E) of (..., D); (1, E) of a weight that all heads share."""
        return weight.reshape(*weight.shape[:-1], -1, self.head_dim)

    def _attend(
        self,
        plan: AttentionPlan,
        q_BKEN: Array,
        k_BKSE: Array,
        v_BKES: Array,
        **keywords: Any,
    ) -> Array:
        """to_out of the attention; the keywords are the plan's."""
        o_BKEN = plan.transposed(q_BKEN, k_BKSE, v_BKES, scale=math.log(2), **keywords)
        o_BKEN = constrain(o_BKEN, "batch heads head_dim tokens")
        kernel_KED = self.to_out.kernel[...].astype(o_BKEN.dtype)
        kernel_KED = kernel_KED.reshape(self.num_heads, self.head_dim, -1)
        y_BND = jnp.einsum("BKEN,KED->BND", o_BKEN, kernel_KED)
        bias = self.to_out.bias
        return y_BND if bias is None else add_bias(y_BND, bias[...])


class SelfAttention(Projections):
    """Tokens attend tokens; with segments, only those of their own segment (packing)."""

    def __call__(
        self,
        x_BND: Float[Array, "B N D"],
        rotation: Rotation | None = None,
        segments_BN: Int[Array, "B N"] | None = None,
        coords_N4: Float[Tensor, "*b N 4"] | None = None,
    ) -> Float[Array, "B N D"]:
        """`coords_N4` is for a plan with a pattern."""
        return self._attend(
            self.plan,
            self._queries(x_BND, rotation),
            self._keys(x_BND, rotation),
            self._values(x_BND),
            q_segments_BN=segments_BN,
            kv_segments_BS=segments_BN,
            q_coords_BN4=coords_N4,
            kv_coords_BS4=coords_N4,
        )


class CrossAttention(Projections):
    """Tokens attend text, but never a position of the text whose mask is False."""

    def __call__(
        self,
        x_BND: Float[Array, "B N D"],
        text_BLX: Float[Array, "B L X"],
        text_mask_BL: Bool[Array, "B L"] | None = None,
    ) -> Float[Array, "B N D"]:
        """`text_BLX` has the width `kv_dim`. Without a true mask the output is to_out(0)."""
        segments = {}
        if text_mask_BL is not None:
            segments["q_segments_BN"] = jnp.ones(x_BND.shape[:2], jnp.int32)
            segments["kv_segments_BS"] = text_mask_BL.astype(jnp.int32)
        return self._attend(
            dataclasses.replace(self.plan, pattern=None),  # patterns are of video
            self._queries(x_BND),
            self._keys(text_BLX, tokens="text"),
            self._values(text_BLX, tokens="text"),
            kv_replicated=True,
            **segments,
        )


def _beside(vector_KE: Array, dim: Dim) -> Array:
    """The vector, to broadcast against heads whose E stands at `dim`."""
    return jnp.expand_dims(vector_KE, -3 - dim)
