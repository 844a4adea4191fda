"""A parameter at the place of its use: scaled, cast, whole."""

from typing import Any

from flax import nnx

from videogen.core.types import Array
from videogen.parallel.gather import gather


def weight(param: nnx.Param, dtype: Any = None, *, factor: float = 1.0) -> Array:
    """factor * param in `dtype` (default: its own), gathered from where it is kept."""
    x = param[...] if factor == 1.0 else param[...] * factor
    x = x if dtype is None else x.astype(dtype)
    return gather(x, param.get_metadata().get("kept"))
