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
import functools
import math
from typing import Any, Literal

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Bool, Float, Int

from videogen.core.types import Array
from videogen.nn.linear import Linear, add_bias
from videogen.nn.norm import LayerNorm, LayerNorm1p, RMSNorm, layer_norm, rms_norm
from videogen.nn.position import Tensor, rotate
from videogen.nn.weight import product
from videogen.ops.attention.api import AttentionPlan
from videogen.parallel.constrain import constrain

DEFAULT_PLAN = AttentionPlan()
# (cos, sin): (N, E) of `position.rope`; (B, N, E) in packs; (B or 1, K, N, E) if heads differ.
Rotation = tuple[Array, Array]
# Norms of q and k: the class, and whether it runs over all heads together.
QK_NORMS = {
    "rms_full": (RMSNorm, True),
    "rms_head": (RMSNorm, False),
    "layer_head": (LayerNorm, False),
    "layer_head_1p": (LayerNorm1p, False),
}
# Tokens of a group up to which plain XLA costs less than a kernel made for long sequences.
# On v5e with head dim 72, forward and backward, in cycles of videogen/cost: 4.6 times less
# with 16 tokens, 1.3 times less with 64, 1.9 times more with 256.
SHORT = 64
Dim = Literal[-1, -2]  # where E stands in a projection: (B, K, S, E) or (B, K, E, S)


class Projections(nnx.Module):
    """to_q, to_k, to_v, to_out and the norms of q and k: what all attentions share."""

    def __init__(
        self,
        width: int,
        num_heads: int,
        *,
        head_dim: int | None = None,
        num_kv_heads: int | None = None,
        kv_dim: int | None = None,
        out_dim: int | None = None,
        has_out: bool = True,
        qk_norm: str | None = None,
        qk_eps: float = 1e-6,
        bias: bool = True,
        out_bias: bool | None = None,
        tokens: str = "tokens",
        plan: AttentionPlan = DEFAULT_PLAN,
        rngs: nnx.Rngs,
    ):
        """Sizes that are None: width / num_heads, num_heads, width, width, bias.

        qk_norm: a name in QK_NORMS, or None. has_out: False where nobody reads the output.
        tokens: their logical axis; "text" is not cut.
        """
        assert qk_norm is None or qk_norm in QK_NORMS, qk_norm
        self.num_heads = num_heads
        self.head_dim = head_dim or width // num_heads
        self.qk_norm, self.tokens, self.plan = qk_norm, tokens, plan
        q_dim = num_heads * self.head_dim
        k_dim = (num_kv_heads or num_heads) * self.head_dim
        self.to_q = Linear(width, q_dim, bias=bias, rngs=rngs)
        self.to_k = Linear(kv_dim or width, k_dim, bias=bias, rngs=rngs)
        self.to_v = Linear(kv_dim or width, k_dim, bias=bias, rngs=rngs)
        out_bias = bias if out_bias is None else out_bias
        self.to_out = (
            Linear(q_dim, out_dim or width, bias=out_bias, rngs=rngs)
            if has_out
            else None
        )
        self.norm_q = self._make_norm(q_dim, qk_eps)
        self.norm_k = self._make_norm(k_dim, qk_eps)

    def _make_norm(self, dim: int, eps: float) -> LayerNorm | RMSNorm | None:
        if self.qk_norm is None:
            return None
        make, is_full = QK_NORMS[self.qk_norm]
        return make(dim if is_full else self.head_dim, eps=eps)

    def queries(
        self,
        x_BND: Array,
        rotation: Rotation | None = None,
        tokens: str | None = None,
        rows: str = "batch",
    ) -> Array:
        """q_BKEN, with log2(e) / sqrt(E) in it."""
        factor = math.log2(math.e) / math.sqrt(self.head_dim)
        return self._heads(
            *(self.to_q, self.norm_q, x_BND, rotation, -2),
            tokens=tokens,
            rows=rows,
            factor=factor,
        )

    def keys(
        self,
        x_BSX: Array,
        rotation: Rotation | None = None,
        tokens: str | None = None,
        rows: str = "batch",
    ) -> Array:
        """k_BGSE."""
        return self._heads(
            *(self.to_k, self.norm_k, x_BSX, rotation, -1), tokens=tokens, rows=rows
        )

    def values(
        self, x_BSX: Array, tokens: str | None = None, rows: str = "batch"
    ) -> Array:
        """v_BGES."""
        return self._heads(self.to_v, None, x_BSX, None, -2, tokens=tokens, rows=rows)

    def out(self, o_BKEN: Array) -> Array:
        """to_out of what heads attended: (B, N, out_dim)."""
        assert self.to_out is not None

        def cut(kernel: Array) -> Array:
            return kernel.reshape(self.num_heads, self.head_dim, -1)

        y_BND = product("BKEN,KED->BND", o_BKEN, self.to_out.kernel, seen=cut)
        bias = self.to_out.bias
        return y_BND if bias is None else add_bias(y_BND, bias[...])

    def _heads(
        self,
        linear: Linear,
        norm: Any,
        x_BSX: Array,
        rotation: Rotation | None,
        dim: Dim,
        *,
        tokens: str | None = None,
        rows: str = "batch",
        factor: float = 1.0,
    ) -> Array:
        """factor * linear(x), cut into heads whose E stands at `dim`, normed, turned.

        tokens, rows: logical axes of those dims.
        """
        of_linear = factor if norm is None else 1.0
        dims = "BSX,XKE->BKSE" if dim == -1 else "BSX,XKE->BKES"
        x = product(dims, x_BSX, linear.kernel, factor=of_linear, cut=self._cut)
        if linear.bias is not None:
            bias_KE = self._cut(linear.bias[...] * of_linear)
            x = add_bias(x, _beside(bias_KE, dim))
        if norm is not None:
            x = self._norm(norm, x, dim, factor).astype(x.dtype)
        if rotation is not None:
            cos, sin = (t if t.ndim > 3 else t[..., None, :, :] for t in rotation)
            if dim == -2:
                cos, sin = cos.mT, sin.mT
            x = rotate(x, cos, sin, dim=dim)
        tokens = tokens or self.tokens
        names = (tokens, "head_dim") if dim == -1 else ("head_dim", tokens)
        return constrain(x, " ".join((rows, "heads", *names)))

    def _norm(
        self, norm: LayerNorm | RMSNorm, x: Array, dim: Dim, factor: float
    ) -> Array:
        """factor * norm(x), float32."""
        assert self.qk_norm is not None
        over = (-3, dim) if QK_NORMS[self.qk_norm][1] else dim
        unscaled = layer_norm if isinstance(norm, LayerNorm) else rms_norm
        y = unscaled(x, norm.eps, over)
        y = y * _beside(self._cut(norm.gain * factor), dim)
        if isinstance(norm, RMSNorm):
            return y
        assert norm.bias is not None
        return y + _beside(self._cut(norm.bias[...] * factor), dim)

    def _cut(self, weight: Array) -> Array:
        """(..., K, E) of (..., D); (1, E) of a weight that all heads share."""
        return weight.reshape(*weight.shape[:-1], -1, self.head_dim)


def attend(
    plan: AttentionPlan,
    q_BKEN: Array,
    k_BGSE: Array,
    v_BGES: Array,
    *,
    tokens: str = "tokens",
    **keywords: Any,
) -> Array:
    """o_BKEN of what `Projections` made; the keywords are the plan's."""
    o_BKEN = plan.transposed(q_BKEN, k_BGSE, v_BGES, scale=math.log(2), **keywords)
    rows, tokens = ("groups", "_") if plan.grouped else ("batch", tokens)
    return constrain(o_BKEN, f"{rows} heads head_dim {tokens}")


class SelfAttention(Projections):
    """Tokens attend tokens; with segments, only those of their own segment (packing)."""

    def __call__(
        self,
        x_BND: Float[Array, "B N D"],
        rotation: Rotation | None = None,
        segments_BN: Int[Array, "B N"] | None = None,
        coords_N4: Float[Tensor, "*b N 4"] | None = None,
        groups: int = 1,
        num_tokens: int | None = None,
    ) -> Float[Array, "B N D"]:
        """`coords_N4` is for a plan with a pattern.

        num_tokens: those that are attended, and padding after them (nn/padding.py).
        groups: rows of `x_BND` that make one sample. If they divide over the context axis of
            the plan's mesh, it cuts them and leaves tokens whole.
        """
        plan, axes = self.plan, {}
        if groups > 1 and x_BND.shape[1] <= SHORT and plan.implementation is None:
            plan = dataclasses.replace(plan, implementation="xla")
        if groups > 1 and plan.mesh and groups % plan.context == 0:
            plan = dataclasses.replace(plan, grouped=True)
            axes = {"tokens": "_", "rows": "groups"}
            x_BND = constrain(x_BND, "groups _ features")
        o_BKEN = attend(
            plan,
            self.queries(x_BND, rotation, **axes),
            self.keys(x_BND, rotation, **axes),
            self.values(x_BND, **axes),
            tokens=self.tokens,
            q_segments_BN=segments_BN,
            kv_segments_BS=segments_BN,
            q_coords_BN4=coords_N4,
            kv_coords_BS4=coords_N4,
            num_kv=num_tokens,
        )
        return self.out(o_BKEN)

    def across(
        self, x_BND: Float[Array, "B N D"], rotation: Rotation | None, rows: int
    ) -> Float[Array, "B N D"]:
        """Of `rows` rows in turn, token n attends token n of each: `AttentionPlan.across`."""
        q_BKEN = self.queries(x_BND, rotation)
        k_BKEN = self._heads(self.to_k, self.norm_k, x_BND, rotation, -2)
        v_BKEN = self.values(x_BND)
        o_BKEN = self.plan.across(q_BKEN, k_BKEN, v_BKEN, rows, math.log(2))
        return self.out(constrain(o_BKEN, "batch heads head_dim tokens"))


class TextAttention(Projections):
    """A text's tokens attend each other, but never a position whose mask is False.

    Every device of the mesh's context axis has the whole text.
    """

    def __call__(
        self,
        text_BLD: Float[Array, "B L D"],
        rotation: Rotation | None = None,
        text_mask_BL: Bool[Array, "B L"] | None = None,
    ) -> Float[Array, "B L D"]:
        segments = {}
        if text_mask_BL is not None:
            ids_BL = text_mask_BL.astype(jnp.int32)
            segments = {"q_segments_BN": ids_BL, "kv_segments_BS": ids_BL}
        o_BKEL = attend(
            dataclasses.replace(self.plan, pattern=None),  # patterns are of video
            self.queries(text_BLD, rotation, "text"),
            self.keys(text_BLD, rotation, "text"),
            self.values(text_BLD, "text"),
            tokens="text",
            kv_replicated=True,
            **segments,
        )
        return self.out(o_BKEL)


class CrossAttention(Projections):
    """Tokens attend text, but never a position of the text whose mask is False.

    has_image: they also attend an image's tokens, by keys and values of their own, and the
    two are added before to_out (IP-Adapter, arXiv 2308.06721; Wan I2V).
    """

    def __init__(self, width: int, num_heads: int, *, has_image: bool = False, **sizes):
        super().__init__(width, num_heads, **sizes)
        q_dim, rngs = num_heads * self.head_dim, sizes["rngs"]
        self.add_k_proj, self.add_v_proj = (
            Linear(width, q_dim, rngs=rngs) if has_image else None for _ in "kv"
        )
        eps = sizes.get("qk_eps", 1e-6)
        self.norm_added_k = self._make_norm(q_dim, eps) if has_image else None

    def __call__(
        self,
        x_BND: Float[Array, "B N D"],
        text_BLX: Float[Array, "B L X"],
        text_mask_BL: Bool[Array, "B L"] | Int[Array, "B L"] | None = None,
        image_BLX: Float[Array, "B I D"] | None = None,
        segments_BN: Int[Array, "B N"] | None = None,
    ) -> Float[Array, "B N D"]:
        """`text_BLX` has the width `kv_dim`. Without a true mask the output is to_out(0).

        segments_BN: ids of packed clips; a token attends the text tokens whose "mask" is
            its id.
        """
        segments = {}
        if text_mask_BL is not None:
            ones_BN = jnp.ones(x_BND.shape[:2], jnp.int32)
            segments["q_segments_BN"] = ones_BN if segments_BN is None else segments_BN
            segments["kv_segments_BS"] = text_mask_BL.astype(jnp.int32)
        plan = dataclasses.replace(self.plan, pattern=None)  # patterns are of video
        q_BKEN = self.queries(x_BND)
        keys = self.keys(text_BLX, tokens="text")
        values = self.values(text_BLX, tokens="text")
        o_BKEN = attend(plan, q_BKEN, keys, values, kv_replicated=True, **segments)
        if image_BLX is not None:
            assert self.add_k_proj is not None and self.add_v_proj is not None
            of_image = functools.partial(self._heads, rotation=None, tokens="text")
            keys = of_image(self.add_k_proj, self.norm_added_k, image_BLX, dim=-1)
            values = of_image(self.add_v_proj, None, image_BLX, dim=-2)
            o_BKEN = o_BKEN + attend(plan, q_BKEN, keys, values, kv_replicated=True)
        return self.out(o_BKEN)


class JointAttention(nnx.Module):
    """Two streams, video and text, each with its own projections, attend all tokens of both.

    [video; text] is one sequence to the attention; text is turned by a rotation of its own,
    if at all.
    """

    def __init__(
        self,
        width: int,
        num_heads: int,
        *,
        text_width: int | None = None,
        last: bool = False,
        plan: AttentionPlan = DEFAULT_PLAN,
        rngs: nnx.Rngs,
        **sizes: Any,
    ):
        """last: no output of the text stream. Further sizes are those of Projections."""
        head_dim = sizes.pop("head_dim", None) or width // num_heads
        text_width = width if text_width is None else text_width
        sizes |= {"head_dim": head_dim, "plan": plan, "rngs": rngs}
        self.plan = plan
        self.video = Projections(width, num_heads, **sizes)
        sizes |= {"has_out": not last, "tokens": "text"}
        self.text = Projections(text_width, num_heads, **sizes)

    def __call__(
        self,
        x_BND: Float[Array, "B N D"],
        text_BLX: Float[Array, "B L X"],
        rotation: Rotation | None = None,
        text_mask_BL: Bool[Array, "B L"] | None = None,
        text_rotation: Rotation | None = None,
    ) -> tuple[Array, Array | None]:
        """(video_BND, text_BLX or None). No token attends text whose mask is False."""
        num_video = x_BND.shape[1]
        turned = text_BLX, text_rotation
        pairs = (
            (self.video.queries(x_BND, rotation), self.text.queries(*turned)),
            (self.video.keys(x_BND, rotation), self.text.keys(*turned)),
            (self.video.values(x_BND), self.text.values(text_BLX)),
        )
        dims = (3, 2, 3)
        qkv = (jnp.concatenate(p, axis=d) for p, d in zip(pairs, dims, strict=True))
        plan = dataclasses.replace(self.plan, pattern=None)
        o_BKEN = attend(plan, *qkv, **segments_of_text(x_BND, text_mask_BL))
        video_BND = self.video.out(o_BKEN[..., :num_video])
        if self.text.to_out is None:
            return video_BND, None
        return video_BND, self.text.out(o_BKEN[..., num_video:])


def segments_of_text(x_BND: Array, text_mask_BL: Array | None) -> dict[str, Array]:
    """Keywords of a plan for [video; text], by which padding is a segment of its own."""
    if text_mask_BL is None:
        return {}
    video_BN = jnp.ones(x_BND.shape[:2], jnp.int32)
    ids = jnp.concatenate([video_BN, text_mask_BL.astype(jnp.int32)], axis=1)
    return {"q_segments_BN": ids, "kv_segments_BS": ids}


def _beside(vector_KE: Array, dim: Dim) -> Array:
    """The vector, to broadcast against heads whose E stands at `dim`."""
    return jnp.expand_dims(vector_KE, -3 - dim)
