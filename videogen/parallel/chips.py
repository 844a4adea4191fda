"""What is known of each TPU: facts as data, with their sources.

A device is what JAX calls one: a chip, or one of the two cores of a tpu7x chip. The two
cores of a v5p chip are one device (megacore). Unless said, figures are per device.

Sources. Peak FLOP/s, HBM bandwidth: Google's system pages ("TPU v5e", "TPU v5p", "TPU
v6e", "TPU7x" at docs.cloud.google.com/tpu/docs). VMEM, MXU width and count: `TpuInfo`
of jax/_src/pallas/mosaic/tpu_info.py (0.10.2). HBM: what libtpu 0.0.42 says it has when
it refuses a larger program. Clocks and rows per cycle are inferred: those at which the
MXUs reach the published peak and at which libtpu's final schedules space vmatmuls.
Links: the "bidirectional ICI bandwidth per chip" of the system pages (400, 1200, 800, 1200
GB/s), over its links (4 of a 2-D, 6 of a 3-D torus) and their two directions. Network
between slices: "DCN bandwidth per chip" there (v5e: 6.4 Tbit/s of a pod of 256). The cores
of a tpu7x chip talk six times as fast as over a link ("TPU7x").
"""

import math
from dataclasses import dataclass

from jax.sharding import AbstractMesh, Mesh

from videogen.core.errors import ConfigError, suggest


@dataclass(frozen=True, kw_only=True)
class Chip:
    """One kind of TPU."""

    name: str
    device_kind: str  # what jax.Device.device_kind says
    topology: str  # the smallest one that compiles ahead of time
    clock_hz: float
    cores_per_device: int
    num_mxus: int  # per core
    mxu_width: int  # weights are width x width
    mxu_rows_per_cycle: int  # of a bf16 operand streaming through one MXU
    hbm_bytes_per_second: float
    hbm_gib: float  # what the compiler lets a program use
    vmem_bytes: int  # per core
    link_bytes_per_second: float  # of one link between chips, in one direction
    dcn_bytes_per_second: float  # of one device to other slices
    ring_of: int = 0  # dims of multiples of so many chips are rings; 0: of whole cubes
    devices_per_chip: int = 1
    sends_beside: bool = False  # collectives run on SparseCores, and unasked
    on_chip_links: int = 0  # how many links the way between a chip's devices is worth
    topologies: tuple[str, ...]  # that can be rented, the larger ones not all

    @property
    def dims(self) -> int:
        """Of the torus that its slices are cut of."""
        return 2 if self.ring_of else 3

    @property
    def macs_per_cycle(self) -> int:
        """bf16 multiply-adds of one core in a cycle."""
        return self.num_mxus * self.mxu_width**2 * self.mxu_rows_per_cycle

    @property
    def peak_flops(self) -> float:
        """bf16 FLOP/s of one device."""
        return 2.0 * self.macs_per_cycle * self.cores_per_device * self.clock_hz


_CHIPS = (
    Chip(
        name="v5e",  # 197 TFLOP/s, 16 GB
        device_kind="TPU v5 lite",
        topology="v5e:2x2",
        clock_hz=1.5e9,
        cores_per_device=1,
        num_mxus=4,
        mxu_width=128,
        mxu_rows_per_cycle=1,
        hbm_bytes_per_second=8.2e11,
        hbm_gib=15.75,
        vmem_bytes=128 << 20,
        link_bytes_per_second=5e10,
        dcn_bytes_per_second=3.1e9,
        ring_of=16,
        topologies=("2x2", "2x4", "4x4", "4x8", "8x8", "8x16", "16x16"),
    ),
    Chip(
        name="v5p",  # 459 TFLOP/s, 95 GB
        device_kind="TPU v5",
        topology="v5p:2x2x1",
        clock_hz=1.75e9,
        cores_per_device=2,
        num_mxus=4,
        mxu_width=128,
        mxu_rows_per_cycle=1,
        hbm_bytes_per_second=2.46e12,
        hbm_gib=95.74,
        vmem_bytes=64 << 20,
        link_bytes_per_second=1e11,
        dcn_bytes_per_second=6.2e9,
        topologies=(
            "2x2x1",
            "2x2x2",
            "2x2x4",
            "2x4x4",
            "4x4x4",
            "4x4x8",
            "4x8x8",
            "8x8x8",
            "8x8x16",
            "8x16x16",
        ),
    ),
    Chip(
        name="v6e",  # 918 TFLOP/s, 32 GB
        device_kind="TPU v6 lite",
        topology="v6e:2x2",
        clock_hz=1.75e9,
        cores_per_device=1,
        num_mxus=2,
        mxu_width=256,
        mxu_rows_per_cycle=2,
        hbm_bytes_per_second=1.64e12,
        hbm_gib=31.25,
        vmem_bytes=128 << 20,
        link_bytes_per_second=1e11,
        dcn_bytes_per_second=1.25e10,
        ring_of=16,
        topologies=("2x2", "2x4", "4x4", "4x8", "8x8", "8x16", "16x16"),
    ),
    Chip(
        name="tpu7x",  # a chip of two devices: 2307 TFLOP/s, 192 GB, 7.4 TB/s
        device_kind="TPU7x",
        topology="tpu7x:2x2x1",
        clock_hz=2.2e9,
        cores_per_device=1,
        num_mxus=2,
        mxu_width=256,
        mxu_rows_per_cycle=2,
        hbm_bytes_per_second=3.7e12,
        hbm_gib=94.75,
        vmem_bytes=64 << 20,
        link_bytes_per_second=1e11,
        dcn_bytes_per_second=6.2e9,
        devices_per_chip=2,
        sends_beside=True,
        on_chip_links=6,
        topologies=(
            "2x2x1",
            "2x2x2",
            "2x2x4",
            "2x4x4",
            "4x4x4",
            "4x4x8",
            "4x8x8",
            "8x8x8",
            "8x8x16",
            "8x16x16",
        ),
    ),
)
CHIPS: dict[str, Chip] = {chip.name: chip for chip in _CHIPS}


def find_chip(name: str) -> Chip:
    """The chip of that name. ConfigError when it is not known."""
    if name not in CHIPS:
        raise ConfigError(f"chip {name!r} is not known{suggest(name, CHIPS)}")
    return CHIPS[name]


def find_topology(name: str) -> Chip:
    """The chip of a topology, as v5p:4x4x8. ConfigError, with those known, when it is none.

    Others than those known may be: libtpu lays out hosts of 2 x 2 chips, unless told otherwise.
    """
    kind, _, dims = name.partition(":")
    chip = find_chip(kind)
    sizes = dims.split("x")
    rank = len(chip.topologies[0].split("x"))
    are_sizes = len(sizes) == rank and all(x.isdecimal() and int(x) for x in sizes)
    if not are_sizes or any(int(x) % 2 for x in sizes[:2]):
        raise unknown_topology(name, chip)
    return chip


def num_devices(topology: str) -> int:
    """Of a topology that `find_topology` knows."""
    _, _, dims = topology.partition(":")
    chips = math.prod(map(int, dims.split("x")))
    return chips * find_topology(topology).devices_per_chip


def find_slice(name: str) -> tuple[Chip, str]:
    """The chip and the topology of so many chips: v5p:128 -> v5p:4x4x8, or as it is given.

    ConfigError for an unknown chip, or a number that no slice has.
    """
    kind, _, size = name.partition(":")
    if "x" in size:
        return find_topology(name), name
    chip = find_chip(kind)
    sizes = {math.prod(map(int, x.split("x"))): x for x in chip.topologies}
    if not size:
        raise ConfigError(f"chips {name!r}: say how many, as {kind}:{min(sizes)}")
    if not size.isdecimal() or int(size) not in sizes:
        asked = int(size) if size.isdecimal() else 0
        below = [n for n in sizes if n < asked]
        near = [*below[-1:], *[n for n in sizes if n > asked][:1]]
        raise ConfigError(
            f"chips {name!r}: no slice of {chip.name} is of that size; "
            f"{' or '.join(f'{kind}:{n}' for n in near)} would work"
        )
    return chip, f"{kind}:{sizes[int(size)]}"


def unknown_topology(name: str, chip: Chip) -> ConfigError:
    """What to say of a topology that the chip has not."""
    known = ", ".join(f"{chip.name}:{x}" for x in chip.topologies)
    return ConfigError(f"topology {name!r} is not known: {chip.name} has {known}")


def chip_of(mesh: Mesh | AbstractMesh) -> Chip | None:
    """The chip that a mesh is made of; None of no mesh, or of any other device."""
    device = getattr(mesh.abstract_mesh, "abstract_device", None)
    return None if device is None else chip_of_kind(device.device_kind)


def chip_of_kind(device_kind: str) -> Chip | None:
    """The chip whose devices say they are of this kind; None for any other device."""
    found = (chip for chip in _CHIPS if chip.device_kind == device_kind)
    return next(found, None)
