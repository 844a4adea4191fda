"""A mesh laid over chips that are not there, as JAX lays it, without the TPU compiler."""

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass

from videogen.cost.pod import DIMS, Pod
from videogen.parallel.chips import Chip
from videogen.parallel.mesh import place


@dataclass(frozen=True, kw_only=True)
class Device:
    """What JAX asks of a TPU to find its place in a mesh."""

    id: int
    coords: tuple[int, ...]
    core_on_chip: int
    device_kind: str
    platform: str = "tpu"
    process_index: int = 0
    slice_index: int = 0


def devices_of(chip: Chip, topology: str) -> list[Device]:
    """Of a slice such as v5p:4x4x8."""
    dims = [int(x) for x in topology.partition(":")[2].split("x")]
    dims += [1] * (DIMS - len(dims))
    places = itertools.product(
        *(range(n) for n in reversed(dims)), range(chip.devices_per_chip)
    )
    return [
        Device(id=i, coords=(x, y, z), core_on_chip=core, device_kind=chip.device_kind)
        for i, (z, y, x, core) in enumerate(places)
    ]


def lay_out(axes: Mapping[str, int], chip: Chip, topology: str, slices: int = 1) -> Pod:
    """The mesh on the slices, as `make_mesh` lays it.

    slices: so many of the topology; `replica` is a multiple.
    """
    devices = devices_of(chip, topology)
    sizes = (axes["replica"] // slices, *list(axes.values())[1:])
    assert math.prod(sizes) == len(devices), (axes, topology, slices)
    mesh = place(sizes, devices)
    places = ((i, *d.coords, d.core_on_chip) for i in range(slices) for d in mesh.flat)
    return Pod(axes=dict(axes), places=tuple(places))


def num_chips(topology: str) -> int:
    """Of v5p:4x4x8: 128."""
    return math.prod(int(x) for x in topology.partition(":")[2].split("x"))
