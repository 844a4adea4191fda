"""Where an activation lives, said by logical axes; silent without a mesh."""

import math

import jax

from videogen.core.types import Array
from videogen.parallel.rules import LOGICAL, partition


def constrain(x: Array, axes: str) -> Array:
    """x, pinned under the ambient mesh (`jax.set_mesh`); x itself without one.

    Args:
      x: an array of any rank.
      axes: one logical axis per dim, e.g. "batch tokens features" ("_" = not cut).

    Raises ConfigError for an unknown axis, another rank, or a dim that does not divide.
    """
    mesh = jax.sharding.get_abstract_mesh()
    if mesh.empty or mesh.size == 1:
        return x
    names = tuple(None if name == "_" else name for name in axes.split())
    spec = partition(x.shape, names, mesh, f"activation {axes!r}")
    return jax.lax.with_sharding_constraint(x, spec)


def ways(axis: str) -> int:
    """Into how many parts the ambient mesh cuts a logical axis."""
    mesh = jax.sharding.get_abstract_mesh()
    axes = LOGICAL[axis]
    axes = (axes,) if isinstance(axes, str) else axes or ()
    return 1 if mesh.empty else math.prod(mesh.shape[name] for name in axes)
