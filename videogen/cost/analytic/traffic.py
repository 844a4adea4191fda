"""Seconds that one device waits for others in a step, term by term.

Links are taken at their published rates (cost/pod.py) and nothing is taken as hidden, but what
travels in a ring of keys beside the attention of those that came before.
"""

from videogen.cost.analytic.layout import Layout
from videogen.cost.analytic.rates import SWAP_COPIES
from videogen.cost.analytic.stored import Stored
from videogen.cost.analytic.work import Work
from videogen.cost.collectives import Collective
from videogen.cost.pod import Pod
from videogen.parallel.chips import Chip
from videogen.parallel.gather import KEPT

ACTIVATION_BYTES = 2


def waits(
    work: Work,
    stored: Stored,
    layout: Layout,
    pod: Pod,
    chip: Chip,
    *,
    global_batch: int,
    tokens: int,
    kernel_seconds: float,
) -> dict[str, float]:
    """The terms by name."""
    clips = layout.clips(global_batch)
    return {
        "weights": gather_seconds(stored, layout, pod, chip),
        "gradients": gradient_seconds(stored, layout, pod, chip),
        "ulysses": swap_seconds(work, layout, pod, chip, clips),
        "ring": ring_seconds(work, layout, pod, chip, clips, kernel_seconds),
        "tensor": tensor_seconds(stored, layout, pod, chip, clips * tokens),
    }


def gather_seconds(stored: Stored, layout: Layout, pod: Pod, chip: Chip) -> float:
    """All parameters over fsdp x context, in every part of the batch: forward and back."""
    passes = layout.microbatches * (1 if layout.remat == "none" else 2)
    return passes * _seconds("all-gather", pod, chip, KEPT, stored.whole)


def gradient_seconds(stored: Stored, layout: Layout, pod: Pod, chip: Chip) -> float:
    """Summed over fsdp x context in bfloat16, then the parts over replica in float32."""
    inside = _seconds("all-reduce", pod, chip, KEPT, stored.whole)
    across = _seconds("all-reduce", pod, chip, ("replica",), stored.gradients)
    return layout.microbatches * (inside + across)


def swap_seconds(
    work: Work, layout: Layout, pod: Pod, chip: Chip, clips: float
) -> float:
    """All-to-alls of q, k, v and o: forward, backward and, if recomputed, again.

    And the copies on the device, before and after: SWAP_COPIES bytes of HBM each.
    """
    if layout.ulysses == 1:
        return 0.0
    passes = 4 * (2 if layout.remat == "none" else 3)
    sent = passes * clips * _exchanged(work) / layout.tensor
    wire = _seconds("all-to-all", pod, chip, ("context",), sent, layout.ulysses)
    return wire + SWAP_COPIES * sent / chip.hbm_bytes_per_second


def ring_seconds(
    work: Work,
    layout: Layout,
    pod: Pod,
    chip: Chip,
    clips: float,
    kernel_seconds: float,
) -> float:
    """ring - 1 hops of k and v, and of their gradients, less what attention hides.

    Each hop is hidden behind the kernel of the keys before it; of the first nothing is.
    """
    if layout.ring == 1:
        return 0.0
    passes = 2 * (2 if layout.remat == "none" else 3)
    hops = layout.ring - 1
    sent = passes * clips * _exchanged(work) / layout.tensor
    wire = hops * _seconds("collective-permute", pod, chip, ("context",), sent)
    return max(wire / hops, wire - kernel_seconds * hops / layout.ring)


def tensor_seconds(
    stored: Stored, layout: Layout, pod: Pod, chip: Chip, tokens: float
) -> float:
    """Partial sums of products whose rows (forward) or columns (back) are cut over tensor."""
    again = 1 if layout.remat == "none" else 2
    numbers = again * stored.rows + stored.columns
    sent = ACTIVATION_BYTES * tokens * numbers
    return _seconds("all-reduce", pod, chip, ("tensor",), sent)


def _exchanged(work: Work) -> float:
    """Bytes of the queries of one clip in all layers whose attention is over context."""
    backward = (x for x in work.kernels if x.backward and x.exchanges)
    return sum((call.times * call.num_bytes for call in backward), 0.0)


def _seconds(
    kind: str,
    pod: Pod,
    chip: Chip,
    axes: tuple[str, ...],
    num_bytes: float,
    first: int | None = None,
) -> float:
    """Of a collective along axes. first: among so many neighbours only."""
    group = pod.along(axes)[:first]
    sent = Collective(
        kind=kind, group=group, num_bytes=round(num_bytes), channel="", op_name=""
    )
    return sent.seconds(pod, chip)
