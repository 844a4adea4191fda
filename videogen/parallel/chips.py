"""What is known of each TPU: facts as data, with their sources.

A device is what JAX calls one: a chip, or one of the two cores of a tpu7x chip. The two
cores of a v5p chip are one device (megacore). Unless said, figures are per device.

Sources. Peak FLOP/s, HBM bandwidth: Google's system pages ("TPU v5e", "TPU v5p", "TPU
v6e", "TPU7x" at docs.cloud.google.com/tpu/docs). VMEM, MXU width and count: `TpuInfo`
of jax/_src/pallas/mosaic/tpu_info.py (0.10.2). HBM: what libtpu 0.0.42 says it has when
it refuses a larger program. Clocks and rows per cycle are inferred: those at which the
MXUs reach the published peak and at which libtpu's final schedules space vmatmuls.
"""

from dataclasses import dataclass

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
    ),
)
CHIPS: dict[str, Chip] = {chip.name: chip for chip in _CHIPS}


def find_chip(name: str) -> Chip:
    """The chip of that name. ConfigError when it is not known."""
    if name not in CHIPS:
        raise ConfigError(f"chip {name!r} is not known{suggest(name, CHIPS)}")
    return CHIPS[name]


def chip_of_kind(device_kind: str) -> Chip | None:
    """The chip whose devices say they are of this kind; None for any other device."""
    found = (chip for chip in _CHIPS if chip.device_kind == device_kind)
    return next(found, None)
