"""The terms of an estimate: what each grows and shrinks with."""

import dataclasses

import pytest

from videogen.cost.analytic import compute, memory, torus, traffic
from videogen.cost.analytic.estimate import Step, estimate
from videogen.cost.analytic.layout import Layout
from videogen.cost.analytic.stored import Stored
from videogen.cost.analytic.work import Bytes, KernelCall, Stack, Work
from videogen.parallel.chips import find_chip

CHIP, TOPOLOGY, BATCH = find_chip("v5e"), "v5e:4x4", 64
STORED = Stored(
    state=2.0**30, gradients=2.0**28, whole=2.0**30, rows=64.0, columns=64.0
)
CALL = KernelCall(
    times=10,
    backward=True,
    visits=8.0,
    pairs=2.0**26,
    head_dim=128,
    num_bytes=2.0**22,
    exchanges=True,
)


def make_work(kept):
    return Work(
        product_flops=1e12,
        product_bytes=Bytes(whole=1e9, cut=1e9),
        weight_bytes=1e9,
        kernels=(dataclasses.replace(CALL, backward=False), CALL),
        stacks=(Stack(layers=10, kept=Bytes(whole=kept, cut=kept), weights=Bytes()),),
        loose_bytes=Bytes(whole=1e9),
        sizes={},
    )


WORK, DOTS = make_work(2.0**26), make_work(2.0**29)
STEP = Step(
    global_batch=BATCH, tokens=4096, flops=3e12, work={"full": WORK, "dots": DOTS}
)


def laid(**axes):
    """An estimate on 16 devices."""
    layout = Layout(**axes)
    pod = torus.lay_out(layout.axes, CHIP, TOPOLOGY)
    return estimate(STEP, STORED, layout, pod, CHIP)


def test_more_parts_of_a_batch_take_less_memory_and_more_time():
    one, two, four = (laid(fsdp=16, microbatches=n) for n in (1, 2, 4))
    assert one.step_seconds < two.step_seconds < four.step_seconds
    assert one.num_bytes["kept"] == 2 * two.num_bytes["kept"]
    assert one.num_bytes["gradients"] < two.num_bytes["gradients"]
    assert four.peak_gib < two.peak_gib


def test_what_a_policy_keeps_is_the_difference_of_two():
    full, dots = (laid(fsdp=16, remat=remat) for remat in ("full", "dots"))
    assert dots.num_bytes["kept"] == 8 * full.num_bytes["kept"]
    others = [dict(x.num_bytes, kept=0) for x in (full, dots)]
    assert others[0] == others[1]


def test_tokens_or_clips_make_no_difference_to_what_is_kept():
    by_clips, by_tokens = laid(fsdp=16), laid(fsdp=4, context=4, ulysses=4)
    assert by_clips.num_bytes == by_tokens.num_bytes
    assert by_clips.seconds["kernels"] == by_tokens.seconds["kernels"]
    assert by_clips.seconds["ulysses"] == 0 < by_tokens.seconds["ulysses"]


def test_tensor_cuts_what_it_cuts():
    whole, cut = laid(fsdp=16), laid(fsdp=4, tensor=4)
    kept = whole.num_bytes["kept"]
    assert cut.num_bytes["kept"] == pytest.approx(4 * kept * (1 + 1 / 4) / 2)
    assert whole.seconds["tensor"] == 0 < cut.seconds["tensor"]


def test_a_ring_hides_behind_attention_but_for_one_hop():
    layout = Layout(fsdp=4, context=4)
    pod = torus.lay_out(layout.axes, CHIP, TOPOLOGY)
    hops = traffic.hops(WORK, layout, pod, 4.0)
    wire = sum(x.seconds(pod, CHIP) for x in hops)
    waits = [traffic.ring_seconds(wire, layout, s) for s in (0.0, 1e-3, 1e9)]
    assert len(hops) == 3 and waits[0] == wire
    assert waits[0] > waits[1] > waits[2] == pytest.approx(waits[0] / 3)


def test_over_slices_only_gradients_take_the_slow_network():
    layout = Layout(replica=2, fsdp=16)
    pod = torus.lay_out(layout.axes, CHIP, TOPOLOGY, slices=2)
    near = torus.lay_out(layout.axes, CHIP, "v5e:4x8")
    far, one = (estimate(STEP, STORED, layout, x, CHIP) for x in (pod, near))
    slice = laid(fsdp=16)
    across = STORED.gradients / CHIP.dcn_bytes_per_second
    assert far.seconds["gradients"] - slice.seconds["gradients"] > 0.9 * across
    assert far.seconds["gradients"] > one.seconds["gradients"]
    assert far.seconds["weights"] == slice.seconds["weights"]
    assert far.sent == one.sent


def test_what_is_sent_is_counted_once_for_each_collective():
    found = laid(fsdp=16, microbatches=2)
    assert found.sent["weights"] == 2 * 2 * STORED.whole
    assert found.sent["gradients"] == 2 * STORED.whole  # none over one replica
    assert found.sent["ulysses"] == found.sent["ring"] == found.sent["tensor"] == 0


def test_replicas_sum_gradients_and_gather_less():
    one, two = laid(fsdp=16), laid(replica=2, fsdp=8)
    assert two.seconds["weights"] <= one.seconds["weights"]
    assert two.seconds["gradients"] > 0


@pytest.mark.parametrize("name, share", [("v5e", 1.0), ("v6e", 0.62)])
def test_kernels_reach_what_the_table_of_attention_says(name, share):
    """README's forward and backward of K=12 E=128 N=32768, within a twentieth."""
    chip, pairs = find_chip(name), 12 * 32768.0**2
    calls = [
        dataclasses.replace(
            CALL, times=1, backward=b, pairs=pairs, visits=12 * 128.0 * v
        )
        for b, v in ((False, 1), (True, 2))
    ]
    cycles = sum(compute.kernel_cycles(call, chip) for call in calls)
    ideal = 7 * 128 * pairs / chip.macs_per_cycle
    assert ideal / cycles == pytest.approx(share, rel=0.05)


def test_a_record_adds_up():
    found = laid(fsdp=16)
    record = found.record()
    assert sum(record["seconds"].values()) == pytest.approx(record["step_seconds"])
    assert sum(record["gib"].values()) == pytest.approx(record["peak_gib"])
    peak = CHIP.peak_flops * 16
    assert found.mfu * peak * found.step_seconds == pytest.approx(3e12 * BATCH)
    assert "mesh.fsdp=16" in record["flags"] and "model.remat=full" in record["flags"]


def test_the_layer_in_use_is_a_share_of_what_dots_keeps():
    layout = Layout(fsdp=16)
    assert memory.block_bytes(DOTS, layout, 4.0) == pytest.approx(
        2 * memory.block_bytes(DOTS, layout, 2.0)
    )
