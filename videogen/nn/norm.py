"""Normalisation over the last dim, unless said. Statistics are float32; x keeps its dtype."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Float

from videogen.core.types import Array

Dims = int | tuple[int, ...]


def layer_norm(
    x: Float[Array, "..."], eps: float = 1e-6, dims: Dims = -1
) -> Float[Array, "..."]:
    """(x - mean) / sqrt(variance + eps) over `dims`, in float32."""
    x = x.astype(jnp.float32)
    x = x - x.mean(dims, keepdims=True)
    return x * jax.lax.rsqrt((x * x).mean(dims, keepdims=True) + eps)


def rms_norm(
    x: Float[Array, "..."], eps: float = 1e-6, dims: Dims = -1
) -> Float[Array, "..."]:
    """x / sqrt(mean of x^2 + eps) over `dims`, in float32."""
    x = x.astype(jnp.float32)
    return x * jax.lax.rsqrt((x * x).mean(dims, keepdims=True) + eps)


class LayerNorm(nnx.Module):
    """Layer norm with a learned scale and bias, or neither."""

    def __init__(self, dim: int, *, eps: float = 1e-6, affine: bool = True):
        self.eps = eps
        self.scale = nnx.Param(jnp.ones((dim,))) if affine else None
        self.bias = nnx.Param(jnp.zeros((dim,))) if affine else None

    @property
    def gain(self) -> Array:
        """What a normed x is multiplied with."""
        assert self.scale is not None
        return self.scale[...]

    def normed(self, x: Float[Array, "... D"]) -> Float[Array, "... D"]:
        """The same in float32."""
        y = layer_norm(x, self.eps)
        if self.scale is None or self.bias is None:
            return y
        return y * self.gain + self.bias[...]

    def __call__(self, x: Float[Array, "... D"]) -> Float[Array, "... D"]:
        return self.normed(x).astype(x.dtype)


class LayerNorm1p(LayerNorm):
    """Layer norm with the gain 1 + scale, the scale starting at 0 (Megatron-LM)."""

    def __init__(self, dim: int, *, eps: float = 1e-6):
        super().__init__(dim, eps=eps)
        self.scale = nnx.Param(jnp.zeros((dim,)))

    @property
    def gain(self) -> Array:
        """What a normed x is multiplied with."""
        return 1.0 + super().gain


class RMSNorm(nnx.Module):
    """x / rms(x), with a learned scale or without."""

    def __init__(self, dim: int, *, eps: float = 1e-6, affine: bool = True):
        self.eps = eps
        self.scale = nnx.Param(jnp.ones((dim,))) if affine else None

    @property
    def gain(self) -> Array:
        """What a normed x is multiplied with."""
        assert self.scale is not None
        return self.scale[...]

    def normed(self, x: Float[Array, "... D"]) -> Float[Array, "... D"]:
        """The same in float32."""
        y = rms_norm(x, self.eps)
        return y if self.scale is None else y * self.gain

    def __call__(self, x: Float[Array, "... D"]) -> Float[Array, "... D"]:
        return self.normed(x).astype(x.dtype)


# By name, as configs have it: "layer" and "rms" learn nothing.
NORMS = ("layer", "layer_affine", "rms", "rms_affine")


def make_norm(name: str, dim: int, *, eps: float = 1e-6) -> Any:
    """The module of a name in NORMS."""
    kind, _, affine = name.partition("_")
    return {"layer": LayerNorm, "rms": RMSNorm}[kind](dim, eps=eps, affine=bool(affine))
