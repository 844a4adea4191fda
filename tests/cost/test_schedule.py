"""Cycles of a schedule: the matrix unit's interlock, shares of guarded code, the grid."""

from dataclasses import replace
from pathlib import Path

import pytest

from videogen.cost.bundles import (
    Bundle,
    Loop,
    Push,
    Schedule,
    Span,
    Utilisation,
    Vmatmul,
    parse_schedule,
    parse_utilisation,
)
from videogen.cost.schedule import Shares, cost_kernel, simulate
from videogen.parallel.chips import find_chip

RECORDED = Path(__file__).parent / "recorded"
BF16 = Bundle(vmatmuls=(Vmatmul("mxu0", "bf16", False),))
F32 = Bundle(vmatmuls=(Vmatmul("mxu0", "f32", False),))
LMR = Bundle(vmatmuls=(Vmatmul("mxu0", "bf16", True),))
OTHER = Bundle(vmatmuls=(Vmatmul("mxu1", "bf16", False),))
PUSH = Bundle(pushes=(Push("mxu0", False),))
PUSH_TRANSPOSED = Bundle(pushes=(Push("mxu0", True),))
IDLE = Bundle()
HALVES = Shares(bodies=(0.75, 0.25), cold=0.25)


@pytest.fixture(scope="module")
def recorded():
    return (
        parse_schedule((RECORDED / "two_bodies_schedule.txt").read_text()),
        parse_utilisation((RECORDED / "two_bodies_use.txt").read_text()),
        find_chip("v6e"),
    )


def alone(schedule):
    """The arguments of cost_kernel for a schedule whose slots do not matter."""
    rows = ((0,),) * len(schedule.bundles)
    return schedule, Utilisation(capacity={"MXU": 1}, rows=rows), find_chip("v5e")


@pytest.mark.parametrize(
    "bundles, v5e, v6e",
    [
        ([IDLE] * 5, 5, 5),
        ([BF16, BF16], 17, 9),
        ([BF16, OTHER], 2, 2),
        ([BF16, *[IDLE] * 20, BF16], 22, 22),
        ([F32, BF16], 9, 5),
        ([LMR, BF16], 9, 5),
        ([PUSH, PUSH], 5, 5),
        ([PUSH_TRANSPOSED, PUSH], 9, 9),
        ([PUSH, BF16], 2, 2),
    ],
)
def test_a_unit_takes_rows_at_its_rate(bundles, v5e, v6e):
    assert simulate(bundles, find_chip("v5e"))[0] == v5e
    assert simulate(bundles, find_chip("v6e"))[0] == v6e


def test_no_schedule_beats_the_peak():
    chip = find_chip("v5e")
    cycles, busy = simulate([BF16] * 100, chip)
    assert busy == 1600 and cycles >= busy - 15


def test_a_step_is_the_sum_of_its_parts(recorded):
    cost = cost_kernel(*recorded, HALVES)
    assert cost.steps == 8
    assert [part.kind for part in cost.parts if part.kind == "body"] == ["body"] * 2
    assert cost.cycles_per_step == sum(x.share * x.cycles for x in cost.parts)
    outside = 256 - len(Span(17, 254))
    assert cost.cycles == 8 * cost.cycles_per_step + outside
    inside = sum(part.bundles for part in cost.parts)
    assert inside == len(Span(17, 254))  # each bundle once
    assert 0 < cost.slots["MXU"] < 1 and 0 < cost.input_share < 1


def test_shares_weigh_the_bodies_in_code_order(recorded):
    full = cost_kernel(*recorded, replace(HALVES, bodies=(1.0, 0.0)))
    masked = cost_kernel(*recorded, replace(HALVES, bodies=(0.0, 1.0)))
    mixed = cost_kernel(*recorded, HALVES)
    assert full.mxu_busy_per_step == masked.mxu_busy_per_step / 3
    assert mixed.cycles_per_step == pytest.approx(
        0.75 * full.cycles_per_step + 0.25 * masked.cycles_per_step
    )


def test_cold_code_may_have_a_share_each(recorded):
    none, first, last = (
        cost_kernel(*recorded, replace(HALVES, cold=cold)).cycles_per_step
        for cold in (0.0, (1.0, 0.0), (0.0, 1.0))
    )
    assert (first - none, last - none) == (13, 13)


def test_the_case_may_state_the_steps(recorded):
    cost = cost_kernel(*recorded, replace(HALVES, steps=3))
    assert cost.steps == 3


@pytest.mark.parametrize(
    "shares, message",
    [
        (
            Shares(cold=0.1),
            r"bodies=\(1.0,\) but the schedule has 2 \(45 bundles at 77",
        ),
        (
            Shares(bodies=(1.0, 1.0)),
            r"cold=None but the schedule has 2 \(13 bundles at 61",
        ),
        (
            Shares(bodies=(1.0, 1.0), cold=(1.0,)),
            r"cold=\(1.0,\) but the schedule has 2",
        ),
    ],
)
def test_shares_that_do_not_fit_are_refused(recorded, shares, message):
    with pytest.raises(ValueError, match=message):
        cost_kernel(*recorded, shares)


def test_a_kernel_without_a_grid_runs_once():
    schedule = Schedule(bundles=(BF16, BF16), loops=(), guards=())
    cost = cost_kernel(*alone(schedule), Shares())
    assert (cost.steps, cost.cycles) == (1, 17)


def test_an_inner_loop_counts_its_trips():
    loops = (Loop(Span(2, 4), 10), Loop(Span(0, 6), 7))
    schedule = Schedule(bundles=(IDLE,) * 6, loops=loops, guards=())
    cost = cost_kernel(*alone(schedule), Shares())
    assert (cost.steps, cost.cycles_per_step) == (5, 4 + 2 * 10)


def test_an_inner_loop_of_matmuls_needs_a_count():
    loops = (Loop(Span(2, 4), None), Loop(Span(0, 6), 7))
    schedule = Schedule(bundles=(BF16,) * 6, loops=loops, guards=())
    with pytest.raises(ValueError, match="the loop at 2 holds matmuls"):
        cost_kernel(*alone(schedule), Shares())


def test_a_grid_of_unknown_size_is_refused():
    schedule = Schedule(bundles=(IDLE,) * 6, loops=(Loop(Span(0, 6), None),), guards=())
    with pytest.raises(ValueError, match="give Shares.steps"):
        cost_kernel(*alone(schedule), Shares())
    assert cost_kernel(*alone(schedule), Shares(steps=4)).cycles == 24


def test_the_guard_of_a_kernel_without_matmuls_is_transparent():
    schedule = Schedule(
        bundles=(IDLE,) * 50,
        loops=(Loop(Span(0, 50), 12),),
        guards=(Span(5, 45), Span(10, 20)),
    )
    cost = cost_kernel(*alone(schedule), Shares(cold=0.5))
    assert cost.cycles_per_step == 40 + 10 * 0.5


def test_guarded_transfers_of_windows_run_every_step():
    move = Bundle(has_transfer=True)
    schedule = Schedule(
        bundles=(IDLE,) * 12 + (move,) + (BF16,) * 2 + (IDLE,) * 25,
        loops=(Loop(Span(0, 40), 12),),
        guards=(Span(4, 13), Span(14, 38), Span(20, 30)),
    )
    cost = cost_kernel(*alone(schedule), Shares(cold=0.5))
    assert [part.kind for part in cost.parts] == ["straight", "body", "cold"]
