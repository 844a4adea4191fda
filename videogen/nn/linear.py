"""The one linear layer: kernel (in, out), initialised by name, cast at use."""

from collections.abc import Callable
from typing import Any

import jax
from flax import nnx
from jaxtyping import Float

from videogen.core.types import Array
from videogen.nn.weight import product

INITS: dict[str, Callable[..., Array]] = {
    "xavier": jax.nn.initializers.xavier_uniform(),
    "normal": jax.nn.initializers.normal(0.02),
    "zeros": jax.nn.initializers.zeros,
}


class Linear(nnx.Module):
    """x @ kernel + bias, in the dtype of x; parameters are float32, the bias starts at 0."""

    def __init__(
        self,
        in_dim: int,
        out_dim: int,
        *,
        bias: bool = True,
        init: str = "xavier",
        rngs: nnx.Rngs,
    ):
        self.kernel = nnx.Param(INITS[init](rngs.params(), (in_dim, out_dim)))
        self.bias = nnx.Param(jax.numpy.zeros((out_dim,))) if bias else None

    def __call__(self, x: Float[Array, "... I"]) -> Float[Array, "... O"]:
        lead = "abcdefgh"[: x.ndim - 1]
        y: Any = product(f"{lead}i,io->{lead}o", x, self.kernel)
        return y if self.bias is None else add_bias(y, self.bias[...])


def add_bias(y: Float[Array, "..."], bias: Float[Array, "..."]) -> Float[Array, "..."]:
    """y + bias in the dtype of y, summed in float32, and so is the gradient of the bias.

    That is a sum over all tokens: of bfloat16 it would be rough and, on TPUs, slow.
    """
    return (y.astype(jax.numpy.float32) + bias).astype(y.dtype)
