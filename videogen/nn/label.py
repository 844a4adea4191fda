"""A class as a vector, with a null class for guidance."""

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Float, Int

from videogen.core.types import Array
from videogen.nn.linear import INITS
from videogen.nn.weight import weight


class LabelEmbedding(nnx.Module):
    """(num_classes + 1, D) learned vectors in float32; the last one is the null class."""

    def __init__(self, num_classes: int, width: int, *, rngs: nnx.Rngs):
        self.num_classes = num_classes
        values = INITS["normal"](rngs.params(), (num_classes + 1, width))
        self.embedding_table = nnx.Param(values)

    def __call__(self, label_B: Int[Array, "B"]) -> Float[Array, "B D"]:
        """-1 is the null class; any other label out of range gives NaN, to be noticed."""
        rows_B = jnp.where(label_B == -1, self.num_classes, label_B)
        known_B = (rows_B >= 0) & (rows_B <= self.num_classes)
        vectors_BD = jnp.take(weight(self.embedding_table), rows_B, axis=0, mode="clip")
        return jnp.where(known_B[:, None], vectors_BD, jnp.nan)
