"""Parameters whole at use, cut where they are kept (ZeRO-3, arXiv 1910.02054).

A kernel that is kept in parts is gathered in the dtype of the product that it enters, and its
gradient, a sum over the devices that cut the batch, is scattered to the parts, in that dtype
too or in float32. Both are said outright: of a product with a cut kernel XLA may make a loop
of thin ones that pass the parts around, and of a gradient a sum that every device gets whole.

Many chips take one axis after the other. At once, on a torus of three dimensions, XLA gathers
by adding up wholes that are zero but for a part, and nothing runs beside that; and of gradients
every device gets the whole sum. Not so tpu7x: its SparseCores scatter at once, and gather by
sums of wholes either way, both beside compute.
"""

import functools
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax.sharding import PartitionSpec

from videogen.core.types import Array
from videogen.parallel.chips import Chip, chip_of

Axes = str | tuple[str, ...] | None  # of a mesh, along one dim
Multiply = Callable[[Array, Array], Array]  # (x, whole kernel) -> product
KEPT = ("fsdp", "context")  # the mesh axes over which parameters are only kept
BATCH = ("replica", "fsdp")  # those that cut the rows of a batch
MANY = 64  # devices from which libtpu 0.0.42 gathers and scatters by whole sums
FEWER = 2  # at so many rows of a kernel to one that would travel, the kernel stays


def gather(x: Array, kept: PartitionSpec | None) -> Array:
    """x, whole along the axes KEPT; under no mesh, or if nothing is cut so, x itself.

    kept: where the parameter lives; x may lack its first dims (`layers`).
    """
    mesh = jax.sharding.get_abstract_mesh()
    if kept is None or mesh.empty or all(mesh.shape[axis] == 1 for axis in KEPT):
        return x
    own, whole = _specs(x, kept)
    return x if whole == own else _gather(x, own, whole)


def multiply_wide(
    forward: Multiply,
    multiply: Multiply,
    x: Array,
    kernel: Array,
    kept: PartitionSpec | None,
) -> Array:
    """forward(x, kernel), whose gradient to the kernel devices add up in float32.

    The kernel, float32, enters as `gather` makes it whole in the dtype of x.

    forward: `multiply`, or it of rounded operands.
    multiply: linear in the kernel.
    """
    mesh = jax.sharding.get_abstract_mesh()
    if kept is None or mesh.empty or mesh.size == 1:
        return forward(x, kernel.astype(x.dtype))
    return _multiply_wide(x, kernel, forward, multiply, *_specs(kernel, kept))


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3, 4, 5))
def _multiply_wide(
    x: Array,
    kernel: Array,
    forward: Multiply,
    multiply: Multiply,
    own: PartitionSpec,
    whole: PartitionSpec,
) -> Array:
    return _multiply_forward(x, kernel, forward, multiply, own, whole)[0]


def _multiply_forward(x, kernel, forward, multiply, own, whole):
    kernel = _gather(kernel.astype(x.dtype), own, whole)
    return forward(x, kernel), (x, kernel)


def _multiply_backward(forward, multiply, own, whole, saved, dy):
    x, kernel = saved
    (dx,) = jax.vjp(lambda x: forward(x, kernel), x)[1](dy)
    x, dy, like = (a.astype(jnp.float32) for a in (x, dy, kernel))
    (dkernel,) = jax.linear_transpose(lambda k: multiply(x, k), like)(dy)
    return dx, _scatter(dkernel, own)


_multiply_wide.defvjp(_multiply_forward, _multiply_backward)


def multiply_rows(
    x_BC: Array, kernel_CX: Array, kept: PartitionSpec | None
) -> Array | None:
    """x @ kernel where the kernel is kept; None unless that takes fewer numbers along.

    Of a kernel that meets a few rows, those of conditions, the rows travel and what they
    give: the kernel stays in its parts, and so does its gradient.
    """
    mesh = jax.sharding.get_abstract_mesh()
    if kept is None or mesh.empty or all(mesh.shape[axis] == 1 for axis in KEPT):
        return None
    own, _ = _specs(kernel_CX, kept)
    batch = tuple(axis for axis in BATCH if axis in mesh.shape)
    rows = len(x_BC) // mesh.shape.get("replica", 1)
    if x_BC.ndim != 2 or FEWER * rows > len(kernel_CX):
        return None
    return _multiply_rows(x_BC, kernel_CX, own, batch)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def _multiply_rows(
    x: Array, kernel: Array, own: PartitionSpec, batch: tuple[str, ...]
) -> Array:
    return _rows_forward(x, kernel, own, batch)[0]


def _rows_forward(x, kernel, own, batch):
    of_in, of_out = own
    x = _all_rows(x, batch, of_in)
    return _own_rows(jnp.matmul(x, kernel), batch, of_out), (x, kernel)


def _rows_backward(own, batch, saved, dy):
    (x, kernel), (of_in, of_out) = saved, own
    dy = _all_rows(dy, batch, of_out)
    dkernel = jax.lax.with_sharding_constraint(jnp.matmul(x.T, dy), own)
    return _own_rows(jnp.matmul(dy, kernel.T), batch, of_in), dkernel


_multiply_rows.defvjp(_rows_forward, _rows_backward)


def _all_rows(x: Array, batch: Axes, side: Axes) -> Array:
    """Rows of a whole copy of the parameters, cut as the side of the kernel that they meet.

    Gathered before they are cut: XLA would exchange some of each for parts of all, a form of
    all-to-all that libtpu cannot leave to tpu7x's SparseCores.
    """
    near = _without(batch)
    whole = PartitionSpec(near, _without(side))
    x = jax.lax.optimization_barrier(_constrain(x, whole))
    return _constrain(x, whole, PartitionSpec(near, side))


def _own_rows(y: Array, batch: Axes, side: Axes) -> Array:
    """The way back, from the other side of the kernel: of a sum, or of parts made whole."""
    near, whole = _without(batch), _without(side)
    if whole != side:
        y = _constrain(y, PartitionSpec(near, side), PartitionSpec(near, whole))
        y = jax.lax.optimization_barrier(y)
    return _constrain(y, PartitionSpec(near, whole), PartitionSpec(batch, whole))


@functools.partial(jax.custom_vjp, nondiff_argnums=(1, 2))
def _gather(x: Array, own: PartitionSpec, whole: PartitionSpec) -> Array:
    chip = _chip_of_many()
    between = [_halfway(own)] if chip and chip.dims == 3 else []
    return _constrain(x, own, *between, whole)


def _forward(x, own, whole):
    return _gather(x, own, whole), None


def _backward(own, whole, _, dx):
    """Heads are seen as one dim: of three XLA sums the whole on every device."""
    flat, spec = dx, own
    if dx.ndim > 2 and own[-1] is None:
        flat, spec = dx.reshape(*dx.shape[:-2], -1), PartitionSpec(*own[:-1])
    return (_scatter(flat, spec).reshape(dx.shape),)


_gather.defvjp(_forward, _backward)


def _specs(x: Array, kept: PartitionSpec) -> tuple[PartitionSpec, PartitionSpec]:
    """(where x is kept, where it is whole)."""
    own = tuple(kept)[len(kept) - x.ndim :]
    return PartitionSpec(*own), PartitionSpec(*(_without(axes) for axes in own))


def _scatter(dx: Array, own: PartitionSpec) -> Array:
    """A sum, of which each device gets its part.

    At once where a mesh holds several copies of the parameters, be they MANY: else these would
    add up larger parts, over the network between slices.
    """
    chip, mesh = _chip_of_many(), jax.sharding.get_abstract_mesh()
    by_axis = chip and not chip.sends_beside and mesh.shape.get("replica", 1) == 1
    return _constrain(dx, *([_halfway(own)] if by_axis else []), own)


def _constrain(x: Array, *specs: PartitionSpec) -> Array:
    for spec in specs:
        x = jax.lax.with_sharding_constraint(x, spec)
    return x


def _chip_of_many() -> Chip | None:
    """Of a mesh along both of whose axes KEPT parameters are cut, MANY in all."""
    mesh = jax.sharding.get_abstract_mesh()
    sizes = [mesh.shape.get(axis, 1) for axis in KEPT]
    return chip_of(mesh) if min(sizes) > 1 and math.prod(sizes) >= MANY else None


def _halfway(own: PartitionSpec) -> PartitionSpec:
    """Whole along the nearer axis of KEPT, cut along the other."""
    return PartitionSpec(*(_without(axes, KEPT[1:]) for axes in own))


def _without(axes: Axes, whole: tuple[str, ...] = KEPT) -> Axes:
    """Of one dim's axes, those that cut it at use too."""
    axes = (axes,) if isinstance(axes, str) else axes or ()
    left = tuple(axis for axis in axes if axis not in whole)
    return None if not left else left[0] if len(left) == 1 else left
