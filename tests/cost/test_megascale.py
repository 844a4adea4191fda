"""What slices exchange is found, and waited for where it is received."""

import pytest

from videogen.cost import hlo
from videogen.cost.pod import Pod
from videogen.cost.timeline import Replay
from videogen.parallel.chips import find_chip

CHIP = find_chip("v5e")
# Two slices of two chips; `fsdp` lies inside them.
PLACES = tuple((place, x, 0, 0, 0) for place in range(2) for x in range(2))
POD = Pod(axes={"replica": 2, "fsdp": 2}, places=PLACES)
MILLION = int(
    1e6 / CHIP.clock_hz * CHIP.dcn_bytes_per_second
)  # bytes in so many cycles


def told(name, kind):
    return (
        'is_host_transfer=true, frontend_attributes={_xla_host_transfer_rendezvous="'
        f'{name}",_xla_megascale_target="{{1,2}}x{{0:1}}",'
        f'_xla_megascale_transfer_type="{kind}"}}'
    )


def exchange(name, kind, sends, receives, cycles):
    """A send, `cycles` of work, and the receive."""
    said = told(name, kind)
    return (
        f"  %s.{name} = (u8[{sends}]{{0}}, u32[], token[]) send(%x, %t), {said}",
        f'  %w.{name} = bf16[8]{{0}} custom-call(), "estimated_cycles":"{int(cycles)}"',
        f"  %r.{name} = (u8[{receives}]{{0}}, u32[], token[]) recv(%t), {said}",
        f"  %q.{name} = token[] send-done(%s.{name}), is_host_transfer=true",
        f"  %d.{name} = (u8[{receives}]{{0}}, token[]) recv-done(%r.{name})",
    )


def replay(*lines):
    text = "\n".join(["ENTRY %main (x: u8[8]) -> u8[8] {", *lines, "}"])
    return Replay(hlo.Walk(hlo.parse_module(text), {}), POD, CHIP).run("main")


@pytest.mark.parametrize(
    "kind, sends, receives, num_bytes",
    [
        ("ALL_REDUCE", MILLION, MILLION, MILLION),  # of two: twice a half
        ("ALL_GATHER", MILLION, 2 * MILLION, 2 * MILLION),
        ("REDUCE_SCATTER", 2 * MILLION, MILLION, 2 * MILLION),
    ],
)
@pytest.mark.parametrize("work, waits", [(3e5, 7e5), (2e6, 0)])
def test_a_device_waits_for_what_it_has_not_received(
    kind, sends, receives, num_bytes, work, waits
):
    timeline = replay(*exchange("x.1_0", kind, sends, receives, work))
    ((route, traffic),) = timeline.traffic.items()
    assert (route.kind, route.axes) == (kind.lower().replace("_", "-"), ("replica",))
    assert (traffic.count, traffic.num_bytes) == (1, num_bytes)
    assert traffic.cycles == pytest.approx(1e6, rel=1e-3)
    assert timeline.exposed == pytest.approx(waits, rel=1e-3, abs=1)


def test_one_exchange_follows_another_on_the_network():
    lines = [exchange(f"y.{i}_0", "ALL_REDUCE", MILLION, MILLION, 0) for i in range(2)]
    sends, rest = [x[0] for x in lines], [y for x in lines for y in x[1:]]
    assert replay(*sends, *rest).exposed == pytest.approx(2e6, rel=1e-3)


def test_other_transfers_to_the_host_are_no_exchange():
    lines = exchange("z.1_0", "ALL_REDUCE", MILLION, MILLION, 0)
    bare = [line.partition(", frontend_attributes")[0] for line in lines]
    assert not replay(*bare).traffic
