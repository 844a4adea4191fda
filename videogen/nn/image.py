"""An image encoder's tokens brought to the model's width."""

from flax import nnx
from jaxtyping import Float

from videogen.core.types import Array
from videogen.nn.linear import Linear
from videogen.nn.mlp import ACTIVATIONS
from videogen.nn.norm import LayerNorm


class ImageProjection(nnx.Module):
    """norm2(linear_2(gelu(linear_1(norm1(image))))): Wan's and HunyuanVideo-1.5's."""

    def __init__(self, image_dim: int, width: int, *, rngs: nnx.Rngs):
        self.norm1 = LayerNorm(image_dim, eps=1e-5)
        self.linear_1 = Linear(image_dim, image_dim, rngs=rngs)
        self.linear_2 = Linear(image_dim, width, rngs=rngs)
        self.norm2 = LayerNorm(width, eps=1e-5)

    def __call__(self, image_BIX: Float[Array, "B I X"]) -> Float[Array, "B I D"]:
        h_BIX = ACTIVATIONS["gelu"](self.linear_1(self.norm1(image_BIX)))
        return self.norm2(self.linear_2(h_BIX))
