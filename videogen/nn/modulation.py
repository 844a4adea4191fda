"""Adaptive norm: a condition vector shifts, scales and gates a block's branches.

Two generators of the J vectors (shift, scale, gate, ...) a block uses:
`ModulationMLP` -- a linear layer of its own per block (DiT's adaLN-zero);
a shared linear layer once per network + `modulation_table`, learned, per block (PixArt's
adaLN-single, Wan). Modulation is computed in float32 and cast back after each use.
"""

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Float

from videogen.core.types import Array
from videogen.nn.linear import Linear
from videogen.nn.norm import layer_norm


class ModulationMLP(nnx.Module):
    """linear(silu(c)) cut into J vectors: (B, D) -> (B, J, D)."""

    def __init__(
        self, width: int, num_chunks: int, *, init: str = "zeros", rngs: nnx.Rngs
    ):
        self.num_chunks = num_chunks
        self.linear = Linear(width, num_chunks * width, init=init, rngs=rngs)

    def __call__(self, c_BD: Float[Array, "B D"]) -> Float[Array, "B J D"]:
        y = self.linear(jax.nn.silu(c_BD))
        return y.reshape(y.shape[0], self.num_chunks, -1)


def modulation_table(num_chunks: int, width: int, *, rngs: nnx.Rngs) -> nnx.Param:
    """A learned (J, D) offset to the shared modulation: normal, std 1/sqrt(D) (Wan)."""
    values = jax.random.normal(rngs.params(), (num_chunks, width)) * width**-0.5
    return nnx.Param(values)


def chunks(mod_BJD: Float[Array, "B J D"]) -> tuple[Float[Array, "B 1 D"], ...]:
    """The J vectors, each ready to broadcast over tokens."""
    return tuple(mod_BJD[:, j, None, :] for j in range(mod_BJD.shape[1]))


def modulated_norm(
    x_BND: Float[Array, "B N D"],
    shift_B1D: Float[Array, "B 1 D"],
    scale_B1D: Float[Array, "B 1 D"],
    *,
    eps: float = 1e-6,
) -> Float[Array, "B N D"]:
    """layer_norm(x) (1 + scale) + shift, without affine parameters."""
    y_BND = layer_norm(x_BND, eps) * (1.0 + scale_B1D) + shift_B1D
    return y_BND.astype(x_BND.dtype)


def gated_add(
    x_BND: Float[Array, "B N D"],
    branch_BND: Float[Array, "B N D"],
    gate_B1D: Float[Array, "B 1 D"],
) -> Float[Array, "B N D"]:
    """x + gate * branch, summed in float32."""
    y_BND = x_BND.astype(jnp.float32) + branch_BND.astype(jnp.float32) * gate_B1D
    return y_BND.astype(x_BND.dtype)
