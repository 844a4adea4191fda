"""A recorded module is counted: loops, conditionals, estimates. (Trimmed: cases.switched.)"""

from pathlib import Path

import pytest

from videogen.cost.hlo import Walk, parse_module

RECORDED = Path(__file__).parent / "recorded"
COSTS = {"small.1": 10.0, "large.1": 30.0}
ESTIMATES = {"select_add_fusion.2": 6936, "dynamic-slice_bitcast_fusion.2": 6699}


@pytest.fixture(scope="module")
def text():
    return (RECORDED / "switched_module.txt").read_text()


@pytest.fixture(scope="module")
def module(text):
    return parse_module(text)


def count(module, kernel_cycles, branch=None):
    return Walk(module, kernel_cycles, branch).total(module.entry)


def test_kernels_are_found_and_told_apart(module):
    small, large = module.kernels()
    assert (small.name, large.name) == ("small.1", "large.1")
    assert small.kernel_key != large.kernel_key


def test_a_conditional_takes_its_dearest_branch(module):
    totals = count(module, COSTS)
    assert totals.kernels == {"large.1": 3}
    assert totals.operations == ESTIMATES
    assert totals.cycles(COSTS) == 3 * 30 + sum(ESTIMATES.values())


@pytest.mark.parametrize("branch, runs", [("small", "small.1"), ("none", "large.1")])
def test_or_the_branch_that_runs_a_named_kernel(module, branch, runs):
    assert count(module, COSTS, branch).kernels == {runs: 3}


def test_a_known_trip_count_goes_before_the_condition(text):
    plain = "body=%wide.wide.region_0.5.clone.clone.sunk"
    known = plain + ', backend_config={"known_trip_count":{"n":"5"}}'
    module = parse_module(text.replace(plain, known))
    assert count(module, COSTS).kernels == {"large.1": 5}


def test_a_loop_of_unknown_length_counts_once_and_is_reported(text):
    module = parse_module(text.replace("constant(3)", "parameter(3)"))
    totals = count(module, COSTS)
    assert totals.kernels == {"large.1": 1}
    assert totals.unknown_loops == {"while.3"}


def test_attributes_over_several_lines_belong_to_their_instruction():
    module = parse_module(
        "HloModule m\n\nENTRY %main.1 (x: f32[8]) -> f32[8] {\n"
        "  %k.1 = f32[8]{0} custom-call(%x), frontend_attributes={a={\n   }}, "
        'custom_call_target="tpu_custom_call"\n'
        '  ROOT %f = f32[8]{0} fusion(%k.1), backend_config={"estimated_cycles":"7"}\n'
        "}\n"
    )
    totals = count(module, {"k.1": 5.0})
    assert totals.kernels == {"k.1": 1} and totals.operations == {"f": 7}


def test_another_text_is_refused():
    with pytest.raises(ValueError, match="no ENTRY"):
        parse_module("HloModule m\n")
