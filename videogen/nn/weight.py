"""A parameter at the place of its use: scaled, cast, whole."""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
from flax import nnx
from jax.sharding import PartitionSpec

from videogen.core.types import Array
from videogen.parallel.gather import Multiply, gather, multiply_rows, multiply_wide

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
    multiply: Multiply,
    x: Array,
    kernel: nnx.Param,
    *,
    factor: float = 1.0,
    cut: Cut | None = None,
) -> Array:
    """multiply(x, factor * kernel), in the dtype of x, and so the gradient of the kernel.

    Or it is float32, if the network was told to sum it so (`Network.keeping`).
    """
    if not kernel.get_metadata().get("wide"):
        return multiply(x, weight(kernel, x.dtype, factor=factor, cut=cut))
    scaled, kept = _scaled(kernel, factor, cut)
    return multiply_wide(multiply, x, scaled, kept)


def product_of_rows(x: Array, kernel: nnx.Param) -> Array:
    """x @ kernel for an x without tokens; its rows may go to where the kernel is kept."""
    few = multiply_rows(
        x, kernel[...].astype(x.dtype), kernel.get_metadata().get("kept")
    )
    return product(jnp.matmul, x, kernel) if few is None else few


def _scaled(
    param: nnx.Param, factor: float, cut: Cut | None
) -> tuple[Array, PartitionSpec | None]:
    """(the scaled, cut parameter, where a mesh keeps it)."""
    x, kept = param[...] * factor, param.get_metadata().get("kept")
    if cut is None:
        return x, kept
    return cut(x), kept and PartitionSpec(*kept, None)
