"""A schedule replayed: what is hidden, what is waited for."""

import pytest

from videogen.cost import hlo
from videogen.cost.pod import Pod
from videogen.cost.timeline import Replay
from videogen.parallel.chips import find_chip

CHIP = find_chip("v5e")
POD = Pod(axes={"fsdp": 2}, places=((0, 0, 0, 0, 0), (0, 1, 0, 0, 0)))
ENTRY = "ENTRY %main (x: bf16[8]) -> bf16[8] {"
# Half of it crosses one link: a million cycles.
SIZE = int(2 * 1e6 / CHIP.clock_hz * CHIP.link_bytes_per_second / 2)
GROUPS = 'replica_groups={{0,1}}, channel_id=7, metadata={op_name="jit(f)/a/b"}'


def busy(name, cycles):
    return f'  %{name} = bf16[8]{{0}} custom-call(), "estimated_cycles":"{int(cycles)}"'


def replay(*lines, before=()):
    text = "\n".join([*before, ENTRY, *lines, "}"])
    module = hlo.parse_module(text)
    return Replay(hlo.Walk(module, {}), POD, CHIP).run("main")


START = f"  %s = (bf16[8]{{0}}, bf16[{SIZE}]{{0}}) all-gather-start(%x), {GROUPS}"
DONE = f"  %d = bf16[{SIZE}]{{0}} all-gather-done(%s)"
WHOLE = f"  %w = bf16[{SIZE}]{{0}} all-gather(%x), {GROUPS}"


@pytest.mark.parametrize(
    "lines, cycles, exposed",
    [
        ((WHOLE, busy("a", 3e6)), 4e6, 1e6),
        ((START, busy("a", 3e6), DONE), 3e6, 0),
        ((START, busy("a", 4e5), DONE), 1e6, 6e5),
        ((busy("a", 3e6), START, DONE), 4e6, 1e6),
    ],
)
def test_what_compute_does_not_hide_is_exposed(lines, cycles, exposed):
    timeline = replay(*lines)
    assert timeline.cycles == pytest.approx(cycles, rel=1e-3)
    assert timeline.exposed == pytest.approx(exposed, rel=1e-3, abs=1)


def test_a_loop_waits_each_time_and_names_the_operation():
    body = [
        "%cond (c: s32[]) -> pred[] {",
        "  %n = s32[] constant(5)",
        "}",
        "%body (b: s32[]) -> s32[] {",
        WHOLE,
        "}",
    ]
    loop = "  %l = s32[] while(%x), condition=%cond, body=%body"
    timeline = replay(loop, before=body)
    assert timeline.exposed == pytest.approx(5e6, rel=1e-3)
    ((route, traffic),) = timeline.traffic.items()
    assert route == ("all-gather", ("fsdp",), "a/b")
    assert (traffic.count, traffic.num_bytes) == (5, 10 * SIZE)


@pytest.mark.parametrize("cycles, exposed", [(3e6, 0), (4e5, 6e5)])
def test_what_a_sparse_core_runs_is_counted_and_named_like_what_it_takes(
    cycles, exposed
):
    sent = GROUPS.partition(", metadata")[0]
    called = [
        "%sums (p: bf16[8]) -> bf16[8] {",
        f"  ROOT %r = bf16[{SIZE // 2}]{{0}} reduce-scatter(%p), {sent}",
        '}, execution_thread="sparsecore"',
    ]
    lines = [
        '  %x = bf16[8]{0} custom-call(), metadata={op_name="jit(f)/transpose(g)/dot"}',
        "  %s = ((bf16[8]{0}), bf16[8]{0}) call-start(%x, %t), to_apply=%sums",
        busy("a", cycles),
        "  %d = bf16[8]{0} call-done(%s)",
    ]
    timeline = replay(*lines, before=called)
    assert timeline.cycles == pytest.approx(max(cycles, 1e6), rel=1e-3)
    assert timeline.exposed == pytest.approx(exposed, rel=1e-3, abs=1)
    ((route, traffic),) = timeline.traffic.items()
    assert route == ("reduce-scatter", ("fsdp",), "backward transpose(g)/dot")
    assert traffic.num_bytes == pytest.approx(2 * SIZE, abs=4)


def test_a_sparse_core_that_copies_sends_nothing():
    called = ["%turn (p: bf16[8]) -> bf16[8] {", "  ROOT %c = bf16[8]{0} copy(%p)", "}"]
    start = "  %s = ((bf16[8]{0}), bf16[8]{0}) call-start(%x), to_apply=%turn"
    lines = ("  %x = bf16[8]{0} parameter(0)", start, "  %d = bf16[8]{0} call-done(%s)")
    assert not replay(*lines, before=called).traffic


def test_a_collective_in_parts_of_fused_products_is_one():
    parts = []
    for name, mark in (("first", "Start"), ("middle", ""), ("last", "Done")):
        call = f'custom_call_target="AsyncCollective{mark}"' if mark else "tuple"
        prefix = "async_collective_fusion." if name == "middle" else ""
        parts += [
            f"%{prefix}{name} (p: bf16[8]) -> bf16[8] {{",
            f"  %g.{name} = bf16[{SIZE}]{{0}} all-gather(%p), {GROUPS}",
            f"  ROOT %r.{name} = bf16[8]{{0}} custom-call(%g.{name}), {call}",
            "}",
        ]

    def fusion(name, computation, cycles):
        return (
            f"  %{name} = bf16[8]{{0}} fusion(%x), kind=kOutput, calls=%{computation}, "
            f'"estimated_cycles":"{cycles}"'
        )

    timeline = replay(
        fusion("a", "first", 100_000),
        fusion("b", "async_collective_fusion.middle", 300_000),
        fusion("c", "last", 100_000),
        before=parts,
    )
    assert timeline.exposed == pytest.approx(5e5, rel=1e-3)
    ((_, traffic),) = timeline.traffic.items()
    assert traffic.count == 1
