"""Seconds that one device computes in a step, term by term; waits are in traffic.py."""

from videogen.cost.analytic.layout import Layout
from videogen.cost.analytic.rates import (
    HIDDEN,
    KERNELS,
    LOOSE,
    PRODUCTS,
    VISIT_CYCLES,
)
from videogen.cost.analytic.stored import Stored
from videogen.cost.analytic.work import KernelCall, Work
from videogen.parallel.chips import Chip

UPDATE_PASSES = 3.0  # over state and gradients: read, write, and once for the norm


def compute_seconds(
    work: Work, stored: Stored, layout: Layout, chip: Chip, global_batch: int
) -> dict[str, float]:
    """The terms by name."""
    clips = layout.clips(global_batch)
    return {
        "kernels": kernel_seconds(work, layout, chip, clips),
        "products": product_seconds(work, layout, chip, clips),
        "elementwise": loose_seconds(work, layout, chip, clips),
        "update": update_seconds(stored, chip),
    }


def kernel_seconds(work: Work, layout: Layout, chip: Chip, clips: float) -> float:
    """Sum over attention kernels of clips x (MXU cycles + visits x VISIT_CYCLES)."""
    cycles = sum(call.times * kernel_cycles(call, chip) for call in work.kernels)
    return clips * cycles / layout.tensor / chip.cores_per_device / chip.clock_hz


def kernel_cycles(call: KernelCall, chip: Chip) -> float:
    """Of one core. A product that contracts the head dim E stands padded to the MXU's width P.

    Forward: k q contracts it, v p streams it: pairs x (P + E) multiply-adds. Backward three
    of the five products contract or fill it, two stream it: pairs x (3 P + 2 E), or, of
    MXUs wider than E, as many.
    """
    width = chip.mxu_width
    padded, dim = -(-call.head_dim // width) * width, call.head_dim
    macs = 2 * padded + 3 * dim if call.backward else padded + dim
    mxu = call.pairs * macs / chip.macs_per_cycle / KERNELS[width]
    return mxu + call.visits * VISIT_CYCLES


def product_seconds(work: Work, layout: Layout, chip: Chip, clips: float) -> float:
    """FLOPs / (efficiency x peak) + the part of their HBM traffic that this does not hide."""
    flops = clips * work.product_flops / layout.tensor
    weights = work.weight_bytes * layout.microbatches / layout.tensor
    touched = clips * work.product_bytes.over(layout.tensor) + weights
    moved = touched / chip.hbm_bytes_per_second
    return flops / chip.peak_flops / PRODUCTS + (1 - HIDDEN) * moved


def loose_seconds(work: Work, layout: Layout, chip: Chip, clips: float) -> float:
    """LOOSE x clips x bytes that everything else writes, at the HBM's rate."""
    touched = LOOSE * clips * work.loose_bytes.over(layout.tensor)
    return touched / chip.hbm_bytes_per_second


def update_seconds(stored: Stored, chip: Chip) -> float:
    """The optimiser reads and writes all of the state and the gradients."""
    touched = UPDATE_PASSES * (stored.state + stored.gradients)
    return touched / chip.hbm_bytes_per_second
