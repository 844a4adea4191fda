"""A parameter at the place of its use: scaled, cast, whole."""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
from flax import nnx
from jax.sharding import PartitionSpec

from videogen.core.types import Array
from videogen.nn.quantized import DTYPES, quantized_einsum
from videogen.parallel.gather import gather, multiply_rows, multiply_wide

Cut = Callable[[Array], Array]


def weight(
    param: nnx.Param,
    dtype: Any = None,
    *,
    factor: float = 1.0,
    cut: Cut | None = None,
) -> Array:
    """factor * param in `dtype` (default: its own), gathered from where it is kept.

    cut: makes two dims, of heads and of a head's numbers, of the last one. It goes before the
        cast, or XLA turns the heads of a gradient round to sum it.
    """
    x, kept = _scaled(param, factor, cut)
    x = x if dtype is None else x.astype(dtype)
    return gather(x, kept)


def product(
    dims: str,
    x: Array,
    kernel: nnx.Param,
    *,
    factor: float = 1.0,
    cut: Cut | None = None,
    seen: Cut = lambda kernel: kernel,
) -> Array:
    """einsum(dims, x, seen(factor * kernel)), in the dtype of x, and so the kernel's gradient.

    Or that is float32, if the network was told to sum it so, and a product of tokens in a
    block is of 8-bit numbers, if it was told that (`Network.keeping`).

    seen: cuts other dims than the last, of the whole kernel.
    """

    def multiply(x: Array, whole: Array) -> Array:
        return jnp.einsum(dims, x, seen(whole))

    def rounded(x: Array, whole: Array) -> Array:
        return quantized_einsum(name, dims, x, seen(whole))

    told = kernel.get_metadata()
    name = told.get("product_dtype", "compute")
    forward = rounded if name in DTYPES and x.ndim > 2 else multiply
    if not told.get("wide"):
        return forward(x, weight(kernel, x.dtype, factor=factor, cut=cut))
    scaled, kept = _scaled(kernel, factor, cut)
    return multiply_wide(forward, multiply, x, scaled, kept)


def product_of_rows(x: Array, kernel: nnx.Param) -> Array | None:
    """x @ kernel for an x without tokens, if its rows should go to where the kernel is kept."""
    told = kernel.get_metadata()
    if told.get("wide"):  # replicas would add up its gradient in the dtype of x
        return None
    return multiply_rows(x, kernel[...].astype(x.dtype), told.get("kept"))


def _scaled(
    param: nnx.Param, factor: float, cut: Cut | None
) -> tuple[Array, PartitionSpec | None]:
    """(the scaled, cut parameter, where a mesh keeps it)."""
    x, kept = param[...] * factor, param.get_metadata().get("kept")
    if cut is None:
        return x, kept
    return cut(x), kept and PartitionSpec(*kept, None)
