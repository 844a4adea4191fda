"""Adaptive norm: a condition vector shifts, scales and gates a block's branches.

Three generators of the J vectors (shift, scale, gate, ...) a block uses:
`ModulationMLP` -- a linear layer of its own per block (DiT's adaLN-zero);
`LowRankModulation` -- what all blocks share, and a product of low rank per branch (adaLN-LoRA
of W.A.L.T, arXiv 2312.06662; Cosmos);
a shared linear layer once per network + `modulation_table`, learned, per block (PixArt's
adaLN-single, Wan). Modulation is computed in float32 and cast back after each use.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Float

from videogen.core.types import Array
from videogen.nn.linear import Linear
from videogen.nn.norm import layer_norm
from videogen.ops import modulated_norm as fused


class ModulationMLP(nnx.Module):
    """linear(silu(c)) cut into J vectors: (*B, C) -> (*B, J, D)."""

    def __init__(
        self,
        width: int,
        num_chunks: int,
        *,
        in_dim: int | None = None,
        bias: bool = True,
        init: str = "zeros",
        rngs: nnx.Rngs,
    ):
        self.num_chunks = num_chunks
        sizes = in_dim or width, num_chunks * width
        self.linear = Linear(*sizes, bias=bias, init=init, rngs=rngs)

    def __call__(self, c_BD: Float[Array, "*B C"]) -> Float[Array, "*B J D"]:
        y = self.linear.of_rows(jax.nn.silu(c_BD))
        return y.reshape(*y.shape[:-1], self.num_chunks, -1)


class LowRankModulation(nnx.Module):
    """shared + linear_2(linear_1(silu(c))): (*B, C), (*B, J, D) -> (*B, J, D). No biases."""

    def __init__(
        self,
        in_dim: int,
        rank: int,
        num_chunks: int,
        width: int,
        *,
        rngs: nnx.Rngs,
    ):
        sizes = rank, num_chunks * width
        self.linear_1 = Linear(in_dim, rank, bias=False, rngs=rngs)
        self.linear_2 = Linear(*sizes, bias=False, init="zeros", rngs=rngs)

    def __call__(
        self, c_BX: Float[Array, "*B C"], shared_BJD: Float[Array, "*B J D"]
    ) -> Float[Array, "*B J D"]:
        y_BX = self.linear_2(self.linear_1(jax.nn.silu(c_BX)))
        return shared_BJD + y_BX.reshape(shared_BJD.shape)


def modulation_table(num_chunks: int, width: int, *, rngs: nnx.Rngs) -> nnx.Param:
    """A learned (J, D) offset to the shared modulation: normal, std 1/sqrt(D) (Wan)."""
    values = jax.random.normal(rngs.params(), (num_chunks, width)) * width**-0.5
    return nnx.Param(values)


def chunks(mod_BJD: Float[Array, "*B J D"]) -> tuple[Array, ...]:
    """The J vectors, to meet tokens: (B, 1, D), or (B, N, D) of (B, N, J, D)."""
    dim = 1 if mod_BJD.ndim == 3 else -2
    vectors = jnp.split(mod_BJD, mod_BJD.shape[-2], axis=-2)
    return tuple(x if dim == 1 else jnp.squeeze(x, -2) for x in vectors)


def modulated_norm(
    x_BND: Float[Array, "B N D"],
    shift_B1D: Float[Array, "B #N D"] | None,
    scale_B1D: Float[Array, "B #N D"],
    *,
    norm: Callable[[Array], Array] = layer_norm,
) -> Float[Array, "B N D"]:
    """norm(x) (1 + scale) + shift; the norm gives float32 (`normed` of a module)."""
    if norm is layer_norm and shift_B1D is not None:
        if fused.fits(x_BND, shift_B1D, scale_B1D):
            return fused.modulated_norm(x_BND, shift_B1D, scale_B1D)
    y_BND = norm(x_BND) * (1.0 + scale_B1D)
    return (y_BND if shift_B1D is None else y_BND + shift_B1D).astype(x_BND.dtype)


def gated_add(
    x_BND: Float[Array, "B N D"],
    branch_BND: Float[Array, "B N D"],
    gate_B1D: Float[Array, "B #N D"],
) -> Float[Array, "B N D"]:
    """x + gate * branch, summed in float32."""
    y_BND = x_BND.astype(jnp.float32) + branch_BND.astype(jnp.float32) * gate_B1D
    return y_BND.astype(x_BND.dtype)
