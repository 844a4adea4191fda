"""Self-attention of text encoders: scores take an added bias (distances, causality)."""

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Bool, Float

from videogen.core.types import Array
from videogen.nn.linear import Linear

MASKED = -1e30  # finite, so that a row without tokens is not NaN


class BiasedAttention(nnx.Module):
    """to_out(softmax(scale * q k + bias) v), the softmax in float32. Padding is not attended.

    Texts are short: the scores are written out.
    """

    def __init__(
        self,
        width: int,
        num_heads: int,
        head_dim: int,
        *,
        scale: float,
        bias: bool,
        rngs: nnx.Rngs,
    ):
        self.num_heads, self.scale = num_heads, scale
        inner = num_heads * head_dim
        self.to_q = Linear(width, inner, bias=bias, rngs=rngs)
        self.to_k = Linear(width, inner, bias=bias, rngs=rngs)
        self.to_v = Linear(width, inner, bias=bias, rngs=rngs)
        self.to_out = Linear(inner, width, bias=bias, rngs=rngs)

    def __call__(
        self,
        x_BLD: Float[Array, "B L D"],
        bias_KLS: Float[Array, "#K L L"],
        mask_BL: Bool[Array, "B L"],
    ) -> Float[Array, "B L D"]:
        q_BLKE, k_BSKE, v_BSKE = (
            to(x_BLD).reshape(*x_BLD.shape[:2], self.num_heads, -1)
            for to in (self.to_q, self.to_k, self.to_v)
        )
        s_BKLS = jnp.einsum(
            "BLKE,BSKE->BKLS", q_BLKE, k_BSKE, preferred_element_type=jnp.float32
        )
        s_BKLS = self.scale * s_BKLS + bias_KLS.astype(jnp.float32)
        s_BKLS = jnp.where(mask_BL[:, None, None], s_BKLS, MASKED)
        p_BKLS = jax.nn.softmax(s_BKLS, axis=-1).astype(x_BLD.dtype)
        o_BLKE = jnp.einsum("BKLS,BSKE->BLKE", p_BKLS, v_BSKE)
        return self.to_out(o_BLKE.reshape(*x_BLD.shape[:2], -1))
