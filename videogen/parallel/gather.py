"""Parameters whole at use, cut where they are kept (ZeRO-3, arXiv 1910.02054).

A kernel that is kept in parts is gathered in the dtype of the product that it enters, and its
gradient, a sum over the devices that cut the batch, is scattered to the parts. Both are
said outright: of a product with a cut kernel XLA may make a loop of thin ones that pass the
parts around, and of a gradient a sum that every device gets whole.
"""

import functools

import jax
from jax.sharding import PartitionSpec

from videogen.core.types import Array

KEPT = ("fsdp", "context")  # the mesh axes over which parameters are only kept


def gather(x: Array, kept: PartitionSpec | None) -> Array:
    """x, whole along the axes KEPT; under no mesh, or if nothing is cut so, x itself.

    kept: where the parameter lives; x may lack its first dims (`layers`).
    """
    mesh = jax.sharding.get_abstract_mesh()
    if kept is None or mesh.empty or all(mesh.shape[axis] == 1 for axis in KEPT):
        return x
    own = tuple(kept)[len(kept) - x.ndim :]
    whole = tuple(_without(axes) for axes in own)
    if whole == own:
        return x
    return _gather(x, PartitionSpec(*own), PartitionSpec(*whole))


@functools.partial(jax.custom_vjp, nondiff_argnums=(1, 2))
def _gather(x: Array, own: PartitionSpec, whole: PartitionSpec) -> Array:
    x = jax.lax.with_sharding_constraint(x, own)
    return jax.lax.with_sharding_constraint(x, whole)


def _forward(x, own, whole):
    return _gather(x, own, whole), None


def _backward(own, whole, _, dx):
    return (jax.lax.with_sharding_constraint(dx, own),)


_gather.defvjp(_forward, _backward)


def _without(axes: str | tuple[str, ...] | None) -> str | tuple[str, ...] | None:
    """Of one dim's axes, those that cut it at use too."""
    axes = (axes,) if isinstance(axes, str) else axes or ()
    left = tuple(axis for axis in axes if axis not in KEPT)
    return None if not left else left[0] if len(left) == 1 else left
