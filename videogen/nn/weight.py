"""A parameter at the place of its use: scaled, cast, whole."""

from collections.abc import Callable
from typing import Any

from flax import nnx
from jax.sharding import PartitionSpec

from videogen.core.types import Array
from videogen.parallel.gather import gather


def weight(
    param: nnx.Param,
    dtype: Any = None,
    *,
    factor: float = 1.0,
    cut: Callable[[Array], Array] | None = None,
) -> Array:
    """factor * param in `dtype` (default: its own), gathered from where it is kept.

    cut: makes two dims, of heads and of a head's numbers, of the last one. It goes before the
        cast, or XLA turns the heads of a gradient round to sum it.
    """
    x, kept = param[...] * factor, param.get_metadata().get("kept")
    if cut is not None:
        x, kept = cut(x), kept and PartitionSpec(*kept, None)
    x = x if dtype is None else x.astype(dtype)
    return gather(x, kept)
