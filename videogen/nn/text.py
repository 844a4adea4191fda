"""Text embeddings brought to the model's width."""

from typing import Any

import jax
from flax import nnx
from jaxtyping import Float

from videogen.core.types import Array
from videogen.nn.linear import Linear
from videogen.nn.norm import LayerNorm
from videogen.parallel.constrain import constrain

PROJECTIONS = ("mlp", "norm_mlp", "linear", "linear_norm")


def make_projection(kind: str, text_dim: int, width: int, *, rngs: nnx.Rngs) -> Any:
    """The module of a name in PROJECTIONS."""
    if kind in ("mlp", "norm_mlp"):
        return TextProjection(text_dim, width, normed=kind == "norm_mlp", rngs=rngs)
    if kind == "linear":
        return Linear(text_dim, width, init="normal", rngs=rngs)
    return NormedProjection(text_dim, width, rngs=rngs)


class TextProjection(nnx.Module):
    """linear_2(gelu_tanh(linear_1(text))): PixArt's caption projection, also Wan's.

    normed: of text normalised without a scale: Step-Video's.
    """

    def __init__(
        self, text_dim: int, width: int, *, normed: bool = False, rngs: nnx.Rngs
    ):
        self.norm = LayerNorm(text_dim, affine=False) if normed else None
        self.linear_1 = Linear(text_dim, width, init="normal", rngs=rngs)
        self.linear_2 = Linear(width, width, init="normal", rngs=rngs)

    def __call__(self, text_BLX: Float[Array, "B L X"]) -> Float[Array, "B L D"]:
        text_BLX = text_BLX if self.norm is None else self.norm(text_BLX)
        h_BLD = constrain(self.linear_1(text_BLX), "batch text mlp")
        h_BLD = jax.nn.gelu(h_BLD, approximate=True)
        return constrain(self.linear_2(h_BLD), "batch text features")


class NormedProjection(nnx.Module):
    """norm(linear(text)): Movie Gen's, one for each text encoder (arXiv 2410.13720, 3.1)."""

    def __init__(self, text_dim: int, width: int, *, eps: float = 1e-6, rngs: nnx.Rngs):
        self.linear = Linear(text_dim, width, init="normal", rngs=rngs)
        self.norm = LayerNorm(width, eps=eps)

    def __call__(self, text_BLX: Float[Array, "B *L X"]) -> Float[Array, "B *L D"]:
        text_BLD = self.norm(self.linear(text_BLX))
        # One vector of a whole text has no tokens to be cut.
        if text_BLD.ndim == 2:
            return text_BLD
        return constrain(text_BLD, "batch text features")
