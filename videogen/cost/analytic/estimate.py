"""One layout's step: seconds and bytes by term, and what follows from them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from videogen.cost.analytic.compute import compute_seconds
from videogen.cost.analytic.layout import Layout
from videogen.cost.analytic.memory import peak_bytes
from videogen.cost.analytic.stored import Stored
from videogen.cost.analytic.traffic import collectives, total_bytes, waits
from videogen.cost.analytic.work import Work
from videogen.cost.pod import Pod
from videogen.parallel.chips import Chip

GIB = 2**30


@dataclass(frozen=True, kw_only=True)
class Step:
    """What is the same however a step is laid out.

    flops: 3 x forward, of one clip. work: by remat policy, "dots" among them. cut_work: that
        of meshes that cut more than the batch, if it is another.
    """

    global_batch: int
    tokens: int
    flops: float
    work: Mapping[str, Work]
    cut_work: Mapping[str, Work] = field(default_factory=dict)

    def work_on(self, layout: Layout) -> Mapping[str, Work]:
        """By remat policy."""
        cut = layout.context * layout.tensor > 1
        return self.cut_work if cut and self.cut_work else self.work


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """Of one device, but for the MFU."""

    layout: Layout
    compute: Mapping[str, float]  # seconds
    waits: Mapping[str, float]  # seconds
    sent: Mapping[str, float]  # bytes, counted as in videogen/cost/collectives.py
    num_bytes: Mapping[str, float]  # of the peak
    mfu: float
    allowed_gib: float

    @property
    def seconds(self) -> dict[str, float]:
        return {**self.compute, **self.waits}

    @property
    def step_seconds(self) -> float:
        return sum(self.seconds.values())

    @property
    def peak_gib(self) -> float:
        return sum(self.num_bytes.values()) / GIB

    @property
    def spare_gib(self) -> float:
        """Negative: it does not fit."""
        return self.allowed_gib - self.peak_gib

    def record(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "flags": self.layout.flags,
            "step_seconds": self.step_seconds,
            "mfu": self.mfu,
            "peak_gib": self.peak_gib,
            "spare_gib": self.spare_gib,
            "seconds": self.seconds,
            "sent_bytes": dict(self.sent),
            "gib": {name: size / GIB for name, size in self.num_bytes.items()},
        }


def estimate(
    step: Step, stored: Stored, layout: Layout, pod: Pod, chip: Chip
) -> Estimate:
    """Sums of the terms: what one does while another runs is in the fitted rates."""
    works, batch = step.work_on(layout), step.global_batch
    work = works[layout.remat]
    compute = compute_seconds(work, stored, layout, chip, batch)
    sent = collectives(
        *(work, stored, layout, pod), global_batch=batch, tokens=step.tokens
    )
    waited = waits(sent, layout, pod, chip, compute["kernels"])
    seconds = sum(compute.values()) + sum(waited.values())
    peak = chip.peak_flops * layout.num_devices
    return Estimate(
        layout=layout,
        compute=compute,
        waits=waited,
        sent={name: total_bytes(found) for name, found in sent.items()},
        num_bytes=peak_bytes(work, works["dots"], stored, layout, batch),
        mfu=step.flops * batch / seconds / peak,
        allowed_gib=chip.hbm_gib,
    )
