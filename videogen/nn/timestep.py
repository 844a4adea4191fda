"""Diffusion time as a vector: sinusoids, then a small MLP. All in float32."""

import math

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Float

from videogen.core.types import Array
from videogen.nn.linear import Linear


def sinusoid(
    t_B: Float[Array, "*B"], dim: int, scale: float = 1000.0
) -> Float[Array, "*B dim"]:
    """[cos, sin] of scale t theta^(-i / (dim/2)), theta = 1e4; t in [0, 1].

    Cosines first: Wan, DiT, and diffusers' Timesteps(flip_sin_to_cos=True, shift 0).
    """
    half = dim // 2
    frequencies = jnp.exp(-math.log(1e4) * jnp.arange(half, dtype=jnp.float32) / half)
    angles = scale * t_B.astype(jnp.float32)[..., None] * frequencies
    return jnp.concatenate([jnp.cos(angles), jnp.sin(angles)], axis=-1)


class TimestepEmbedding(nnx.Module):
    """linear_2(silu(linear_1(sinusoid(t)))): (*B,) -> (*B, D) float32."""

    def __init__(
        self, freq_dim: int, width: int, *, scale: float = 1000.0, rngs: nnx.Rngs
    ):
        """scale: of what is embedded; 1 for what is not a time in [0, 1]."""
        self.freq_dim, self.scale = freq_dim, scale
        self.linear_1 = Linear(freq_dim, width, init="normal", rngs=rngs)
        self.linear_2 = Linear(width, width, init="normal", rngs=rngs)

    def __call__(self, t_B: Float[Array, "*B"]) -> Float[Array, "*B D"]:
        sinusoid_BX = sinusoid(t_B, self.freq_dim, self.scale)
        hidden_BD = jax.nn.silu(self.linear_1.of_rows(sinusoid_BX))
        return self.linear_2.of_rows(hidden_BD)
