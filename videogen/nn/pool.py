"""A whole text as one vector."""

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Bool, Float

from videogen.core.types import Array
from videogen.nn.linear import Linear


class AttentionPool(nnx.Module):
    """The mean of the tokens attends itself and them, in float32 (Mochi's pool of T5).

    With m the mean over tokens whose mask is true: to_out(attention(q(m), kv([m; x]))).
    """

    def __init__(self, dim: int, num_heads: int, out_dim: int, *, rngs: nnx.Rngs):
        self.num_heads = num_heads
        self.to_kv = Linear(dim, 2 * dim, rngs=rngs)
        self.to_q = Linear(dim, dim, rngs=rngs)
        self.to_out = Linear(dim, out_dim, rngs=rngs)

    def __call__(
        self, x_BLX: Float[Array, "B L X"], mask_BL: Bool[Array, "B L"] | None = None
    ) -> Float[Array, "B D"]:
        x_BLX = x_BLX.astype(jnp.float32)
        if mask_BL is None:
            mask_BL = jnp.ones(x_BLX.shape[:2], bool)
        count_B1 = jnp.maximum(mask_BL.sum(1, keepdims=True), 1)
        mean_BX = jnp.einsum("BLX,BL->BX", x_BLX, mask_BL / count_B1)
        x_BSX = jnp.concatenate([mean_BX[:, None], x_BLX], axis=1)
        mask_BS = jnp.pad(mask_BL, ((0, 0), (1, 0)), constant_values=True)
        k_BSKE, v_BSKE = map(self._heads, jnp.split(self.to_kv(x_BSX), 2, axis=-1))
        q_BKE = self._heads(self.to_q(mean_BX))
        scores_BKS = (
            jnp.einsum("BKE,BSKE->BKS", q_BKE, k_BSKE) * q_BKE.shape[-1] ** -0.5
        )
        scores_BKS = jnp.where(mask_BS[:, None], scores_BKS, -jnp.inf)
        weights_BKS = jax.nn.softmax(scores_BKS, axis=-1)
        o_BKE = jnp.einsum("BKS,BSKE->BKE", weights_BKS, v_BSKE)
        return self.to_out(o_BKE.reshape(mean_BX.shape))

    def _heads(self, x: Float[Array, "... X"]) -> Float[Array, "... K E"]:
        return x.reshape(*x.shape[:-1], self.num_heads, -1)
