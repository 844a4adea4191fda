"""A recorded schedule is read: bundles, loops, guards, slots. (Trimmed: cases.switched.)"""

from pathlib import Path

import pytest

from videogen.cost.bundles import (
    Push,
    Span,
    Vmatmul,
    parse_schedule,
    parse_utilisation,
)

RECORDED = Path(__file__).parent / "recorded"


@pytest.fixture(scope="module")
def schedule():
    return parse_schedule((RECORDED / "two_bodies_schedule.txt").read_text())


def test_every_bundle_has_its_row_of_slots(schedule):
    use = parse_utilisation((RECORDED / "two_bodies_use.txt").read_text())
    assert len(use.rows) == len(schedule.bundles) == 256
    assert use.capacity["MXU"] == 2 and use.capacity["VALU"] == 4
    assert all(len(row) == len(use.capacity) for row in use.rows)


def test_the_grid_loop_and_its_trip_count(schedule):
    (loop,) = schedule.loops
    assert loop.count == 2 * 4 + 2  # heads x steps, and two to fill the pipeline
    assert loop.span == Span(17, 254)


def test_guards_nest_and_two_hold_matmuls(schedule):
    wrapper, first, full, partial, last = schedule.guards
    assert all(wrapper.holds(guard) for guard in (first, full, partial, last))
    assert [schedule.has_matmul(guard) for guard in schedule.guards] == [
        *(True, False, True, True, False)
    ]


def test_matrix_operations_and_transfers_of_a_bundle():
    text = """
   0x0   :  { %1 = vmatmul.mubr.bf16.gmra.mxu0 %v1  ;;  %2 = vmatpush1.bf16.msra.mxu1 %v2 }
   0x1   :  { %3 = vmatmul.lmr.f32.gmra.mxu1 %v1  ;;  %4 = vmatpush2.bf16.xpose.mxu0 %v2 }
   0x2   :  { %5 = dma.hbm_to_vmem [thread:$0], /*hbm=*/%s1, /*size_in_granules=*/4 }
   0x3   :  { %6 = vadd.f32 %v1, %v2 }
   0x4   :  { %7 = dma.hbm_to_vmem (%p1), /*hbm=*/%s1, /*size_in_granules=*/%s2, /*
window_bounds: (1, 1, 16, 4)
element_size_in_bytes: 2048 */ }
   0x5   :  { %8 = dma.vmem_to_hbm [thread:$0], /*vmem=*/%s1, /*size_in_granules=*/4 }
   0x6   :  { %9 = dma.general (%p4), /*src=*/%s1, /*size_in_granules=*/%s2, /*dst=*/%s3 }
"""
    first, second, third, fourth, cut, out, strided = parse_schedule(text).bundles
    assert first.vmatmuls == (Vmatmul("mxu0", "bf16", False),)
    assert first.pushes == (Push("mxu1", False),)
    assert second.vmatmuls == (Vmatmul("mxu1", "f32", True),)
    assert second.pushes == (Push("mxu0", True),)
    assert third.has_transfer and third.bytes_in == 4 * 32
    assert fourth.vmatmuls == fourth.pushes == () and not fourth.has_transfer
    assert cut.has_transfer and cut.bytes_in == 16 * 4 * 2048
    assert out.has_transfer and out.bytes_in == 0
    assert strided.has_transfer and strided.bytes_in == 0


def test_an_inner_loop_keeps_its_own_count():
    lines = [
        "   0x0 LB: > { } /* Start region 1 */",
        "   0x1 LB: >> { } /* Start region 2 */",
    ]
    test = "%p = scmp.ge.s32.totalorder %s1, {} /* loop exit test */"
    lines += [
        f"   0x2   : >> {{ {test.format(7)}  ;;  %1 = sbr.rel target = $region2 }}"
    ]
    lines += [f"   0x{i}   : > {{ }}" for i in range(3, 9)]
    lines += [
        f"   0x9   : > {{ {test.format(34)}  ;;  %2 = sbr.rel target = $region1 }}"
    ]
    loops = parse_schedule("\n".join(lines)).loops
    assert [loop.count for loop in loops] == [7, 34]
    assert loops[1].span.holds(loops[0].span)


def test_guards_before_the_wait_for_windows_are_not_of_the_kernel():
    """A window that lies in VMEM already is copied there, which looks like guarded code."""
    guard = "{{ %1 = sbr.rel (%p1) target = $region{} }}"
    wait = "{ %2 = dma.done.wait (%p2), %s1, 64 /* pipeline-emitter-dma-wait */ }"
    rows = [guard.format(1), *["{ }"] * 10, "{ } /* Start region 1 */", wait]
    rows += [guard.format(2), *["{ }"] * 10, "{ } /* Start region 2 */"]
    text = "\n".join(f"   0x{i:x}   :  {row}" for i, row in enumerate(rows))
    assert parse_schedule(text).guards == (Span(14, 24),)
    assert parse_schedule(text.replace("emitter", "other")).guards == (
        Span(1, 11),
        Span(14, 24),
    )


def test_a_wait_for_results_ends_no_moving_of_windows():
    """Of windows that XLA has put into VMEM nothing is moved, and nothing waited for."""
    rows = ["{ %1 = sbr.rel (%p1) target = $region1 }", *["{ }"] * 10]
    rows += ["{ } /* Start region 1 */", "{ %3 = dma.vmem_to_hbm [thread:$0] }"]
    rows += ["{ %2 = dma.done.wait %s1, 64 /* pipeline-emitter-dma-wait */ }"]
    text = "\n".join(f"   0x{i:x}   :  {row}" for i, row in enumerate(rows))
    assert parse_schedule(text).guards == (Span(1, 11),)


def test_a_text_without_bundles_is_refused():
    with pytest.raises(ValueError, match="no bundles"):
        parse_schedule("Schedule analysis:\n")
