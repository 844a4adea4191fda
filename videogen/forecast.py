"""What one training step will take on a pod: a compiled step's report in seconds and money.

Step time = (XLA's estimated cycles + the schedules' cycles of the kernels) / clock + the time
that devices wait for collectives. Both estimates leave stalls out (cost/schedule.py), so
the time is a lower bound: BIAS says by how much, where it was compared.
"""

import dataclasses
import math
from typing import Any

from videogen.build import Settings
from videogen.cost.compile import Report
from videogen.cost.refusal import Refusal
from videogen.parallel.chips import CHIPS, Chip
from videogen.parallel.mesh import divisors

GIB = 2**30
BIAS = "a lower bound: kernels' schedules alone are 4-11 % below XLA's own model of a product"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Forecast:
    """One step on one pod. price: of a chip for an hour, in any currency; None: not asked."""

    chip: Chip
    report: Report
    price: float | None = None

    @property
    def compute_seconds(self) -> float:
        return self.report.milliseconds / 1e3

    @property
    def step_seconds(self) -> float:
        return self.compute_seconds + self.report.exposed_seconds

    @property
    def num_devices(self) -> int:
        return math.prod(self.report.axes.values())

    @property
    def model_flops(self) -> float:
        """Of a step on all devices: 3 x forward, recomputation not counted."""
        share = self.report.mxu_share or 0.0
        return share * self.compute_seconds * self.chip.peak_flops * self.num_devices

    @property
    def mfu(self) -> float:
        peak = self.chip.peak_flops * self.num_devices
        return self.model_flops / self.step_seconds / peak

    @property
    def spare_gib(self) -> float:
        return self.chip.hbm_gib - self.report.peak_bytes / GIB

    @property
    def cost(self) -> float | None:
        """Of 1,000 steps."""
        if self.price is None:
            return None
        chips = self.num_devices / self.chip.devices_per_chip
        return self.price * chips * self.step_seconds * 1000 / 3600

    def record(self) -> dict[str, Any]:
        """Everything, as JSON."""
        report = dataclasses.asdict(self.report)
        return {
            "step_seconds": self.step_seconds,
            "compute_seconds": self.compute_seconds,
            "exposed_seconds": self.report.exposed_seconds,
            "collective_bytes": sum(x.num_bytes for x in self.report.traffic),
            "mfu": self.mfu,
            "model_flops": self.model_flops,
            "devices": self.num_devices,
            "hbm_allowed_gib": self.chip.hbm_gib,
            "spare_gib": self.spare_gib,
            "price": self.price,
            "cost_of_1000_steps": self.cost,
            "bias": BIAS,
            "report": report,
        }

    def describe(self) -> str:
        """For people."""
        return "\n".join(
            [*self._sizes(), *self._times(), *self._collectives(), *self._money()]
        )

    def _sizes(self) -> list[str]:
        report, facts = self.report, self.report.facts
        mesh = " x ".join(f"{axis}={n}" for axis, n in report.axes.items())
        sizes = {name: size / GIB for name, size in report.bytes.items()}
        return [
            f"{self.num_devices} devices of {self.chip.name}, mesh {mesh}, compiled in "
            f"{report.compile_seconds:.0f} s ({report.compile_cpu_seconds:.0f} s of CPU)",
            f"parameters   {facts['parameters']:,.0f}",
            f"batch        {facts['global_batch']:.0f} clips of {facts['tokens']:,.0f} tokens "
            f"and {facts['text_tokens']:,.0f} of text",
            f"model FLOPs  {self.model_flops / 1e15:,.3f} PFLOP a step, without recomputation",
            f"HBM          peak {sizes['peak']:.2f} GiB of {self.chip.hbm_gib} a device: "
            f"{self.spare_gib:.2f} to spare (arguments {sizes['argument']:.2f}, of which "
            f"{sizes['alias']:.2f} are updated in place; temporaries up to "
            f"{sizes['temp']:.2f})",
            *self._host(),
        ]

    def _host(self) -> list[str]:
        """Of what is kept in the host's memory, if anything is."""
        state, kept = (
            self.report.bytes.get(f"host_{name}", 0) / GIB
            for name in ("argument", "temp")
        )
        if not state + kept:
            return []
        return [
            f"host         {state + kept:.2f} GiB a device, pinned (moments and averages "
            f"{state:.2f}, kept of blocks {kept:.2f}); waits for its copies are in no time"
        ]

    def _times(self) -> list[str]:
        report = self.report
        hz = self.chip.clock_hz
        kernels, xla = report.kernel_cycles / hz, report.xla_cycles / hz
        kinds = ", ".join(f"{kind} {n / hz:.3f}" for kind, n in report.kinds.items())
        lines = [
            f"step         {self.step_seconds:.3f} s, MFU {self.mfu:.1%} ({BIAS})",
            f"  kernels    {kernels:.3f} s",
            f"  XLA        {xla:.3f} s: {kinds}",
            f"  waits      {report.exposed_seconds:.3f} s for collectives",
        ]
        if report.unknown_loops:
            lines += [f"  loops of unknown length: {', '.join(report.unknown_loops)}"]
        return lines

    def _collectives(self) -> list[str]:
        return [
            f"  {x.kind:<18} {'+'.join(x.axes):<16} {x.count:>6} x, {x.num_bytes / 1e9:8.2f} "
            f"GB, {x.seconds:7.3f} s, exposed {x.exposed_seconds:7.3f} s  {x.what}"
            for x in self.report.traffic
            if x.seconds > 0
        ]

    def _money(self) -> list[str]:
        if self.cost is None:
            return []
        return [
            f"cost         {self.cost:,.2f} for 1,000 steps, at {self.price} a chip-hour"
        ]


def advice(refusal: Refusal, settings: Settings, num_devices: int) -> str:
    """Why a step does not fit, and what would help: what costs least time first."""
    optimizer, remat = settings.optimizer, settings.model.remat
    ways = []
    if optimizer.moments == "float32":
        ways.append("--config.optimizer.moments=bfloat16")
    if parts := more_parts(settings, num_devices):
        ways.append(
            f"--config.optimizer.microbatches={parts} (now {optimizer.microbatches})"
        )
    if "offload" not in remat.split(","):
        full = "" if remat == "full" else " or full"
        ways.append(f"--config.model.remat=offload{full} (now {remat})")
    if not optimizer.offload:
        ways.append("--config.optimizer.offload=True")
    ways.append("a larger config.mesh.context or fsdp, on more chips")
    if rows_of(settings, num_devices) > 1:
        ways.append(
            f"a smaller config.data.global_batch (now {settings.data.global_batch})"
        )
    larger = [x.name for x in CHIPS.values() if x.hbm_gib > refusal.needed]
    ways += [f"a chip of more memory ({', '.join(larger)})"] if larger else []
    return (
        f"the step does not fit: it needs {refusal.needed:.2f} GiB a device and the compiler "
        f"allows {refusal.allowed:.2f}, {refusal.excess:.2f} too much; "
        f"{', '.join(ways)} would help"
    )


def more_parts(settings: Settings, num_devices: int) -> int | None:
    """The next number of microbatches that the batch divides into; None: there is none."""
    now, rows = settings.optimizer.microbatches, rows_of(settings, num_devices)
    return next((n for n in divisors(rows) if n > now), None)


def rows_of(settings: Settings, num_devices: int) -> int:
    """Clips that a row of the mesh holds, at least 1; of a ramp what divides them all."""
    replica, fsdp, _, _ = settings.mesh.sizes(num_devices)
    sizes = (
        settings.data.global_batch,
        *(size for _, size in settings.data.batch_ramp),
    )
    return max(math.gcd(*sizes) // (replica * fsdp), 1)
