"""Feed-forward layers: D -> M -> D."""

from collections.abc import Callable
from typing import Any

import jax
from flax import nnx
from jaxtyping import Float

from videogen.core.types import Array
from videogen.nn.linear import Linear
from videogen.parallel.constrain import constrain

ACTIVATIONS: dict[str, Callable[[Any], Any]] = {
    "gelu_tanh": lambda x: jax.nn.gelu(x, approximate=True),
    "gelu": lambda x: jax.nn.gelu(x, approximate=False),
    "quick_gelu": lambda x: x * jax.nn.sigmoid(1.702 * x),
    "relu": jax.nn.relu,
    "silu": jax.nn.silu,
}


class MLP(nnx.Module):
    """down(activation(up(x)))."""

    def __init__(
        self,
        dim: int,
        mlp_dim: int,
        *,
        activation: str = "gelu_tanh",
        bias: bool = True,
        rngs: nnx.Rngs,
    ):
        self.activation = activation
        self.up = Linear(dim, mlp_dim, bias=bias, rngs=rngs)
        self.down = Linear(mlp_dim, dim, bias=bias, rngs=rngs)

    def __call__(
        self, x_BND: Float[Array, "B N D"], tokens: str = "tokens"
    ) -> Float[Array, "B N D"]:
        """tokens: "text" where that is what they are."""
        h_BNM = constrain(self.up(x_BND), f"batch {tokens} mlp")
        return self.down(ACTIVATIONS[self.activation](h_BNM))


MLPS = (*ACTIVATIONS, "swiglu")


def make_mlp(
    kind: str, dim: int, mlp_dim: int, *, bias: bool, rngs: nnx.Rngs
) -> "MLP | SwiGLU":
    """The module of a name in MLPS."""
    if kind == "swiglu":
        return SwiGLU(dim, mlp_dim, bias=bias, rngs=rngs)
    return MLP(dim, mlp_dim, activation=kind, bias=bias, rngs=rngs)


class SwiGLU(nnx.Module):
    """down(activation(gate(x)) * up(x)): GEGLU by another activation than its own."""

    def __init__(
        self,
        dim: int,
        mlp_dim: int,
        *,
        activation: str = "silu",
        bias: bool = False,
        rngs: nnx.Rngs,
    ):
        self.activation = activation
        self.gate = Linear(dim, mlp_dim, bias=bias, rngs=rngs)
        self.up = Linear(dim, mlp_dim, bias=bias, rngs=rngs)
        self.down = Linear(mlp_dim, dim, bias=bias, rngs=rngs)

    def __call__(self, x_BND: Float[Array, "B N D"]) -> Float[Array, "B N D"]:
        gate_BNM = constrain(self.gate(x_BND), "batch tokens mlp")
        up_BNM = constrain(self.up(x_BND), "batch tokens mlp")
        return self.down(ACTIVATIONS[self.activation](gate_BNM) * up_BNM)
