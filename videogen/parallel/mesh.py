"""The device mesh: four axes from the first day, slow to fast network."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from jax.experimental import mesh_utils
from jax.sharding import AxisType, Mesh

from videogen.core.errors import ConfigError
from videogen.parallel import compiler

AXES = ("replica", "fsdp", "context", "tensor")


@dataclass(frozen=True, kw_only=True)
class MeshConfig:
    """The size of each mesh axis; at most one is -1: the devices left over."""

    replica: int = 1  # copies of the parameters; gradients are averaged over them
    fsdp: int = -1  # parameters, moments and the batch are cut over it
    context: int = 1  # the tokens of one sample are cut over it
    tensor: int = 1  # attention heads and MLP columns are cut over it
    # What context is cut into, see ops/attention/partition.py; None: chosen there.
    ulysses: int | None = None  # neighbours that swap heads for tokens
    ring: int | None = None  # places between which keys and values travel
    # Flags "xla_name=value" of the step's program on TPUs, see parallel/compiler.py.
    xla: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        compiler.parse(self.xla)
        for factor in ("ulysses", "ring"):
            size = getattr(self, factor)
            if size is not None and size < 1:
                raise ConfigError(f"mesh.{factor}={size}: must be at least 1, or None")
        sizes = {axis: getattr(self, axis) for axis in AXES}
        for axis, size in sizes.items():
            if size != -1 and size < 1:
                raise ConfigError(f"mesh.{axis}={size}: must be at least 1, or -1")
        rest = [axis for axis, size in sizes.items() if size == -1]
        if len(rest) > 1:
            raise ConfigError(
                f"mesh: only one axis may be -1, not {' and '.join(rest)}"
            )

    def sizes(self, num_devices: int) -> tuple[int, int, int, int]:
        """The sizes in the order of AXES. ConfigError if they misfit the devices."""
        sizes = (self.replica, self.fsdp, self.context, self.tensor)
        fixed = math.prod(size for size in sizes if size != -1)
        text = ", ".join(f"{a}={s}" for a, s in zip(AXES, sizes, strict=True) if s != 1)
        if -1 in sizes:
            if num_devices % fixed:
                raise ConfigError(
                    f"mesh: {text}: {num_devices} devices do not divide by the product "
                    f"{fixed} of the other axes; their product must be one of "
                    f"{divisors(num_devices)}"
                )
            replica, fsdp, context, tensor = (
                num_devices // fixed if size == -1 else size for size in sizes
            )
            return replica, fsdp, context, tensor
        if fixed != num_devices:
            raise ConfigError(
                f"mesh: {text or 'all axes 1'}: the product is {fixed} but there are "
                f"{num_devices} devices; {self._remedy(num_devices, fixed)} would work"
            )
        return sizes

    def _remedy(self, num_devices: int, product: int) -> str:
        """The one axis whose change would make the product right, if there is one."""
        for axis in ("fsdp", "replica", "context", "tensor"):
            others = product // getattr(self, axis)
            if num_devices % others == 0:
                return f"{axis}={num_devices // others} (or {axis}=-1)"
        return f"axes whose product is {num_devices}"


def make_mesh(config: MeshConfig, devices: Sequence[Any] | None = None) -> Mesh:
    """A mesh over `devices` (default: all of the job's), laid out for the network.

    Of several TPU slices each holds whole copies of the parameters: only `replica` crosses
    the network between them, where gradients alone travel.

    Raises ConfigError if the axes' product is not the number of devices, or a copy would lie
    across slices.
    """
    devices = jax.devices() if devices is None else devices
    sizes = config.sizes(len(devices))
    axis_types = (AxisType.Auto,) * len(AXES)
    slices = num_slices(devices)
    if slices == 1:
        return Mesh(place(sizes, devices), AXES, axis_types=axis_types)
    replica, *inner = sizes
    if replica % slices:
        raise ConfigError(
            f"mesh.replica={replica}: the devices are of {slices} slices, each of which has "
            f"whole copies of the parameters; a multiple of {slices} would work"
        )
    placed = mesh_utils.create_hybrid_device_mesh(
        (replica // slices, *inner),
        (slices, 1, 1, 1),
        devices,
        allow_split_physical_axes=True,
    )
    return Mesh(placed, AXES, axis_types=axis_types)


def place(sizes: Sequence[int], devices: Sequence[Any]) -> np.ndarray:
    """The devices of one slice in an array of those sizes, the last its nearest neighbours.

    An axis is of whole physical dimensions, as `jax.make_mesh` has it, or where none are of
    its size, of parts of them.
    """
    try:
        return mesh_utils.create_device_mesh(sizes, devices)
    except NotImplementedError:
        return mesh_utils.create_device_mesh(
            sizes, devices, allow_split_physical_axes=True
        )


def num_slices(devices: Sequence[Any]) -> int:
    """TPU slices that the devices are of; 1 for other devices."""
    if devices[0].platform != "tpu":
        return 1
    return len({getattr(device, "slice_index", 0) for device in devices})


def divisors(number: int) -> list[int]:
    """The divisors of a positive number, ascending."""
    return [k for k in range(1, number + 1) if number % k == 0]
