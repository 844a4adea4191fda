"""A pod of TPUs as a mesh is laid over it: who is whose neighbour, and how fast they talk.

The model. A group of devices that exchange data uses the physical dimensions of the torus in
which its members differ: of each both directions where it closes to a ring, one where it
does not, for then the device at its end has one link. v5e and v6e close dimensions of
16; v5p and tpu7x all dimensions of slices of whole cubes of 4 x 4 x 4. Between members that
are n chips apart n groups share the links. Other links that groups share are not modelled.
Between slices the data centre's network carries what a chip's share of it can.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from videogen.parallel.chips import Chip

DIMS = 3


@dataclass(frozen=True, kw_only=True)
class Pod:
    """axes: the mesh's, with sizes. places: of each device in the mesh's order.

    A place is (slice, x, y, z, core on the chip).
    """

    axes: Mapping[str, int]
    places: tuple[tuple[int, ...], ...]

    @classmethod
    def of(cls, mesh: Any) -> "Pod":
        """Of a jax.sharding.Mesh over TPUs, there or not."""
        places = (
            (getattr(d, "slice_index", 0) or 0, *d.coords, d.core_on_chip)
            for d in mesh.devices.flat
        )
        return cls(axes=dict(mesh.shape), places=tuple(places))

    @property
    def size(self) -> int:
        """Devices."""
        return len(self.places)

    def along(self, axes: tuple[str, ...]) -> tuple[int, ...]:
        """The group of the first device along mesh axes."""
        places = np.arange(self.size).reshape(tuple(self.axes.values()))
        index = tuple(slice(None) if axis in axes else 0 for axis in self.axes)
        return tuple(places[index].ravel().tolist())

    def spanned(self, group: tuple[int, ...]) -> tuple[str, ...]:
        """The mesh axes along which the devices of a group differ."""
        coords = np.unravel_index(np.asarray(group), tuple(self.axes.values()))
        pairs = zip(self.axes, coords, strict=True)
        return tuple(axis for axis, places in pairs if len(set(places.tolist())) > 1)

    def bandwidth(self, group: tuple[int, ...], chip: Chip) -> float:
        """Bytes per second that each device of a group can receive from the others."""
        places = self._places[list(group)]
        if len(set(places[:, 0])) > 1:
            return chip.dcn_bytes_per_second
        links = sum(
            self._links(dim, sorted(set(column)), chip)
            for dim, column in enumerate(places[:, 1 : 1 + DIMS].T.tolist())
        )
        if not links:  # two cores of one chip
            return chip.link_bytes_per_second * chip.on_chip_links
        return links * chip.link_bytes_per_second / chip.devices_per_chip

    @property
    def across_slices(self) -> tuple[int, ...]:
        """The first device, and those in its place in the other slices."""
        _, *place = self.places[0]
        return tuple(i for i, (_, *other) in enumerate(self.places) if other == place)

    def longest(self, group: tuple[int, ...]) -> int:
        """The most chips of a group in one physical dimension."""
        places = self._places[list(group), 1 : 1 + DIMS]
        return max(len(set(column)) for column in places.T.tolist())

    @cached_property
    def _places(self) -> np.ndarray:
        return np.asarray(self.places)

    @cached_property
    def _sizes(self) -> tuple[int, ...]:
        """Chips of a slice in each physical dimension."""
        spans = np.ptp(self._places[:, 1 : 1 + DIMS], axis=0) + 1
        return tuple(int(size) for size in spans)

    def _links(self, dim: int, places: list[int], chip: Chip) -> float:
        """How many a chip has to the others of its group, in one physical dimension."""
        if len(places) == 1:
            return 0.0
        apart = (places[-1] - places[0]) / (len(places) - 1)
        return (2 if self._is_ring(dim, len(places) * apart, chip) else 1) / apart

    def _is_ring(self, dim: int, length: float, chip: Chip) -> bool:
        """Whether a way of so many chips goes round the torus."""
        if length < self._sizes[dim]:
            return False
        if chip.ring_of:
            return self._sizes[dim] % chip.ring_of == 0
        return all(n % 4 == 0 for n in self._sizes)
