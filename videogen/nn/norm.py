"""Normalisation over the last dim, unless said. Statistics are float32; x keeps its dtype."""

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Float

from videogen.core.types import Array


def layer_norm(x: Float[Array, "... D"], eps: float) -> Float[Array, "... D"]:
    """(x - mean) / sqrt(variance + eps) over the last dim, in float32."""
    x = x.astype(jnp.float32)
    x = x - x.mean(-1, keepdims=True)
    return x * jax.lax.rsqrt((x * x).mean(-1, keepdims=True) + eps)


class LayerNorm(nnx.Module):
    """Layer norm with a learned scale and bias; without them use `layer_norm`."""

    def __init__(self, dim: int, *, eps: float = 1e-6):
        self.eps = eps
        self.scale = nnx.Param(jnp.ones((dim,)))
        self.bias = nnx.Param(jnp.zeros((dim,)))

    def __call__(self, x: Float[Array, "... D"]) -> Float[Array, "... D"]:
        y = layer_norm(x, self.eps) * self.scale[...] + self.bias[...]
        return y.astype(x.dtype)


def rms_norm(
    x: Float[Array, "..."],
    scale: Float[Array, "..."],
    dims: int | tuple[int, ...],
    eps: float,
) -> Float[Array, "..."]:
    """scale * x / sqrt(mean of x^2 over `dims` + eps); scale broadcasts against x."""
    y = x.astype(jnp.float32)
    y = y * jax.lax.rsqrt((y * y).mean(dims, keepdims=True) + eps)
    return (y * scale).astype(x.dtype)


class RMSNorm(nnx.Module):
    """x / rms(x) with a learned scale."""

    def __init__(self, dim: int, *, eps: float = 1e-6):
        self.eps = eps
        self.scale = nnx.Param(jnp.ones((dim,)))

    def __call__(self, x: Float[Array, "... D"]) -> Float[Array, "... D"]:
        return rms_norm(x, self.scale[...], -1, self.eps)
