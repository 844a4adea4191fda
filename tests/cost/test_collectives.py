"""Collectives as XLA writes them: who, how much, how long."""

import pytest

from videogen.cost import collectives
from videogen.cost.hlo import Instruction
from videogen.cost.pod import Pod
from videogen.parallel.chips import find_chip

AXES = {"replica": 1, "fsdp": 4, "context": 4, "tensor": 1}
POD = Pod(axes=AXES, places=tuple((0, x, y, 0, 0) for x in range(4) for y in range(4)))
V5E = find_chip("v5e")


def sent(text):
    return collectives.read(Instruction("it", text), POD)


@pytest.mark.parametrize(
    "groups, group, axes",
    [
        ("{{0,4,8,12},{1,5,9,13}}", (0, 4, 8, 12), ("fsdp",)),
        ("[4,4]<=[16]", (0, 1, 2, 3), ("context",)),
        ("[4,4]<=[4,4]T(1,0)", (0, 4, 8, 12), ("fsdp",)),
        ("[1,16]<=[16]", tuple(range(16)), ("fsdp", "context")),
        ("mesh['a'=4,'b'=4] {'a'}", (0, 4, 8, 12), ("fsdp",)),
        ("mesh['a'=4,'b'=4] {'b'}", (0, 1, 2, 3), ("context",)),
        ("mesh['a'=16] {'a':(1)4}", (0, 4, 8, 12), ("fsdp",)),
        ("mesh['a'=16] {'a':(4)4}", (0, 1, 2, 3), ("context",)),
        (
            "mesh['a'=4,'b'=4], device_ids=([4,4]T(1,0)) {'a'}",
            (0, 1, 2, 3),
            ("context",),
        ),
    ],
)
def test_every_way_to_write_groups_is_read(groups, group, axes):
    it = sent(f"bf16[8]{{0}} all-gather(%x), replica_groups={groups}, dimensions={{0}}")
    assert it.group == group
    assert POD.spanned(it.group) == axes


@pytest.mark.parametrize(
    "text, num_bytes",
    [
        ("bf16[256,8]{1,0} all-gather(%x), replica_groups={{0,1,2,3}}", 4096),
        ("(f32[2]{0}, /*index=1*/f32[3]{0}) all-reduce(%x, %y)", 20),
        ("f32[64]{0} reduce-scatter(%x), replica_groups={{0,1,2,3}}", 1024),
        ("(bf16[4]{0}, bf16[16]{0}) all-gather-start(%x)", 32),
        (
            "(s8[5]{0}, s8[5]{0}, u32[], u32[]) collective-permute-start(%x), "
            "source_target_pairs={{0,1},{1,0}}",
            5,
        ),
    ],
)
def test_bytes_are_those_of_the_whole_array(text, num_bytes):
    assert sent(text).num_bytes == num_bytes


def test_time_is_the_share_that_travels_over_the_links_of_the_group():
    text = "bf16[25000000]{0} %s(%%x), replica_groups={{0,1,2,3}}"
    row = V5E.link_bytes_per_second  # a line of four chips: one link at its end
    assert sent(text % "all-gather").seconds(POD, V5E) == pytest.approx(
        0.75 * 5e7 / row
    )
    assert sent(text % "all-reduce").seconds(POD, V5E) == pytest.approx(1.5 * 5e7 / row)
    assert sent(text % "all-to-all").seconds(POD, V5E) == pytest.approx(5e7 / row)


def test_rings_slices_and_the_cores_of_a_chip_have_speeds_of_their_own():
    ring = Pod(axes={"fsdp": 16}, places=tuple((0, x, 0, 0, 0) for x in range(16)))
    everyone, link = tuple(range(16)), V5E.link_bytes_per_second
    assert ring.bandwidth(everyone, V5E) == 2 * link
    assert ring.bandwidth((0, 1, 2, 3), V5E) == link
    # Every fourth chip: a ring as well, whose links three others use too.
    assert ring.bandwidth((0, 4, 8, 12), V5E) == 2 * link / 4
    assert ring.bandwidth((0, 4, 8), V5E) == link / 4
    assert POD.bandwidth(everyone, V5E) == 2 * link  # two lines
    slices = Pod(axes={"replica": 2}, places=((0, 0, 0, 0, 0), (1, 0, 0, 0, 0)))
    assert slices.bandwidth((0, 1), V5E) == V5E.dcn_bytes_per_second
    chip = find_chip("tpu7x")
    cores = Pod(axes={"tensor": 2}, places=((0, 0, 0, 0, 0), (0, 0, 0, 0, 1)))
    assert cores.bandwidth((0, 1), chip) == 6 * chip.link_bytes_per_second


def test_a_device_that_sends_to_itself_takes_no_time_and_says_nothing_of_others():
    text = "bf16[512]{0} collective-permute(%%x), source_target_pairs={%s}"
    alone, moved = sent(text % "{0,0},{1,1}"), sent(text % "{0,0},{4,1},{1,0}")
    assert alone.seconds(POD, V5E) == 0
    assert moved.group == (4, 1)
    assert moved.seconds(POD, V5E) == 1024 / (2 * V5E.link_bytes_per_second)
