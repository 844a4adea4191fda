"""What a device keeps of the state on a mesh, and what becomes of it at use."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from jax.sharding import PartitionSpec

from videogen.parallel.gather import KEPT

GATHERED_BYTES = 2  # of a number that products read: bfloat16


@dataclass(frozen=True, kw_only=True)
class Stored:
    """Bytes on one device.

    state: parameters, moments, averages. gradients: of what is trained, float32, in parts.
    whole: parameters kept in parts, as they are gathered: in bfloat16, a tensor shard each.
    rows, columns: of products cut over the tensor axis, the numbers a token that are summed
        over it, forward (by its rows) and backward (by its columns).
    """

    state: float
    gradients: float
    whole: float
    rows: float = 0.0
    columns: float = 0.0


def stored(
    state: Iterable[Any],
    trained: Mapping[str, Any],
    parameters: Mapping[str, Any],
    axes: Mapping[str, int],
) -> Stored:
    """Of leaves with shape, dtype and a NamedSharding, on a mesh of these axes.

    state: all of it. trained, parameters: of the network's parameters, by path.
    """
    whole, rows, columns = 0.0, 0.0, 0.0
    for leaf in parameters.values():
        spec, size = leaf.sharding.spec, math.prod(leaf.shape)
        tensor = axes["tensor"] if _cuts(spec, "tensor") else 1
        if any(_cuts(spec, axis) for axis in KEPT):
            whole += GATHERED_BYTES * size / tensor
        if tensor > 1 and len(leaf.shape) > 1:
            by_rows = "tensor" in _axes(spec[len(leaf.shape) - 2])
            other = size / leaf.shape[-2 if by_rows else -1]
            rows, columns = rows + other * by_rows, columns + other * (not by_rows)
    return Stored(
        state=sum(bytes_of(leaf, axes) for leaf in state),
        gradients=sum(bytes_of(leaf, axes) for leaf in trained.values()),
        whole=whole,
        rows=rows,
        columns=columns,
    )


def bytes_of(leaf: Any, axes: Mapping[str, int]) -> float:
    """A device's part of a leaf."""
    names = [axis for dim in leaf.sharding.spec for axis in _axes(dim)]
    ways = math.prod(axes[axis] for axis in names)
    return math.prod(leaf.shape) * leaf.dtype.itemsize / ways


def _cuts(spec: PartitionSpec, axis: str) -> bool:
    return any(axis in _axes(dim) for dim in spec)


def _axes(dim: Any) -> tuple[str, ...]:
    return (dim,) if isinstance(dim, str) else tuple(dim or ())
