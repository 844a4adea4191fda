"""What one device sends others in a step, and how long it waits for it, term by term.

Links are taken at their published rates (cost/pod.py) and nothing is taken as hidden, but what
travels in a ring of keys beside the attention of those that came before.
"""

from collections.abc import Mapping

from videogen.cost.analytic.layout import Layout
from videogen.cost.analytic.rates import SWAP_COPIES
from videogen.cost.analytic.stored import Stored
from videogen.cost.analytic.work import Work
from videogen.cost.collectives import Collective
from videogen.cost.pod import Pod
from videogen.parallel.chips import Chip
from videogen.parallel.gather import KEPT

ACTIVATION_BYTES = 2
Sent = tuple[Collective, ...]


def collectives(
    work: Work,
    stored: Stored,
    layout: Layout,
    pod: Pod,
    *,
    global_batch: int,
    tokens: int,
) -> dict[str, Sent]:
    """All of a step, those of one term as few."""
    clips = layout.clips(global_batch)
    return {
        "weights": gathers(stored, layout, pod),
        "gradients": gradients(stored, layout, pod),
        "ulysses": swaps(work, layout, pod, clips),
        "ring": hops(work, layout, pod, clips),
        "tensor": partial_sums(stored, layout, pod, clips * tokens),
    }


def waits(
    sent: Mapping[str, Sent],
    layout: Layout,
    pod: Pod,
    chip: Chip,
    kernel_seconds: float,
) -> dict[str, float]:
    """Seconds of each term."""
    seconds = {
        name: sum((x.seconds(pod, chip) for x in found), 0.0)
        for name, found in sent.items()
    }
    seconds["ulysses"] += swap_copy_seconds(sent["ulysses"], chip)
    seconds["ring"] = ring_seconds(seconds["ring"], layout, kernel_seconds)
    return seconds


def gathers(stored: Stored, layout: Layout, pod: Pod) -> Sent:
    """All parameters over fsdp x context, in every part of the batch: forward and back."""
    passes = layout.microbatches * (1 if layout.remat == "none" else 2)
    return (_sent("all-gather", pod, KEPT, passes * stored.whole),)


def gradients(stored: Stored, layout: Layout, pod: Pod) -> Sent:
    """Summed over fsdp x context in bfloat16, then the parts over replica in float32."""
    parts = layout.microbatches
    return (
        _sent("all-reduce", pod, KEPT, parts * stored.whole),
        _sent("all-reduce", pod, ("replica",), parts * stored.gradients),
    )


def swaps(work: Work, layout: Layout, pod: Pod, clips: float) -> Sent:
    """All-to-alls of q, k, v and o: forward, backward and, if recomputed, again."""
    if layout.ulysses == 1:
        return ()
    passes = 4 * (2 if layout.remat == "none" else 3)
    sent = passes * clips * _exchanged(work) / layout.tensor
    return (_sent("all-to-all", pod, ("context",), sent, layout.ulysses),)


def swap_copy_seconds(sent: Sent, chip: Chip) -> float:
    """Copies on the device, before and after: SWAP_COPIES bytes of HBM each."""
    return SWAP_COPIES * total_bytes(sent) / chip.hbm_bytes_per_second


def hops(work: Work, layout: Layout, pod: Pod, clips: float) -> Sent:
    """ring - 1 hops of k and v, and of their gradients."""
    passes = 2 * (2 if layout.remat == "none" else 3)
    sent = passes * clips * _exchanged(work) / layout.tensor
    hop = _sent("collective-permute", pod, ("context",), sent)
    return (hop,) * (layout.ring - 1)


def ring_seconds(wire: float, layout: Layout, kernel_seconds: float) -> float:
    """Of hops that take `wire`, less what attention hides.

    Each hop is hidden behind the kernel of the keys before it; of the first nothing is.
    """
    if layout.ring == 1:
        return 0.0
    hops = layout.ring - 1
    return max(wire / hops, wire - kernel_seconds * hops / layout.ring)


def partial_sums(stored: Stored, layout: Layout, pod: Pod, tokens: float) -> Sent:
    """Of products whose rows (forward) or columns (back) are cut over tensor."""
    again = 1 if layout.remat == "none" else 2
    numbers = again * stored.rows + stored.columns
    return (_sent("all-reduce", pod, ("tensor",), ACTIVATION_BYTES * tokens * numbers),)


def total_bytes(sent: Sent) -> float:
    """Of their whole arrays; none of a device alone."""
    return float(sum(x.num_bytes for x in sent if len(x.group) > 1))


def _exchanged(work: Work) -> float:
    """Bytes of the queries of one clip in all layers whose attention is over context."""
    backward = (x for x in work.kernels if x.backward and x.exchanges)
    return sum((call.times * call.num_bytes for call in backward), 0.0)


def _sent(
    kind: str,
    pod: Pod,
    axes: tuple[str, ...],
    num_bytes: float,
    first: int | None = None,
) -> Collective:
    """Along axes. first: among so many neighbours only."""
    group = pod.along(axes)[:first]
    return Collective(
        kind=kind, group=group, num_bytes=round(num_bytes), channel="", op_name=""
    )
