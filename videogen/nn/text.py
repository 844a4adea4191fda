"""Text embeddings brought to the model's width."""

import jax
from flax import nnx
from jaxtyping import Float

from videogen.core.types import Array
from videogen.nn.linear import Linear
from videogen.parallel.constrain import constrain


class TextProjection(nnx.Module):
    """linear_2(gelu_tanh(linear_1(text))): PixArt's caption projection, also Wan's."""

    def __init__(self, text_dim: int, width: int, *, rngs: nnx.Rngs):
        self.linear_1 = Linear(text_dim, width, init="normal", rngs=rngs)
        self.linear_2 = Linear(width, width, init="normal", rngs=rngs)

    def __call__(self, text_BLX: Float[Array, "B L X"]) -> Float[Array, "B L D"]:
        h_BLD = constrain(self.linear_1(text_BLX), "batch text mlp")
        h_BLD = jax.nn.gelu(h_BLD, approximate=True)
        return constrain(self.linear_2(h_BLD), "batch text features")
