"""The one linear layer: kernel (in, out), initialised by name, cast at use."""

from collections.abc import Callable
from typing import Any

import jax
from flax import nnx
from jax.ad_checkpoint import checkpoint_name
from jaxtyping import Float

from videogen.core.types import Array
from videogen.nn.weight import product, product_of_rows

BIASED = "biased_product"
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
        return self._biased(product(f"{lead}i,io->{lead}o", x, self.kernel))

    def of_rows(self, x: Float[Array, "*B I"]) -> Float[Array, "*B O"]:
        """The same, for what has no tokens: a mesh may leave the kernel where it is kept."""
        few = product_of_rows(x, self.kernel)
        return self(x) if few is None else self._biased(few)

    def _biased(self, y: Array) -> Any:
        return y if self.bias is None else add_bias(y, self.bias[...])


def add_bias(y: Float[Array, "..."], bias: Float[Array, "..."]) -> Float[Array, "..."]:
    """y + bias in the dtype of y, summed in float32, and so is the gradient of the bias.

    That is a sum over all tokens: of bfloat16 it would be rough and, on TPUs, slow. Policies
    that keep products keep this (`stack.REMAT`): the bias joins its product once.
    """
    y = (y.astype(jax.numpy.float32) + bias).astype(y.dtype)
    return checkpoint_name(y, BIASED)
