"""Estimates against steps that were compiled, as recorded."""

import pytest

from benchmarks import planner

MEMORY, TIME = 0.10, 0.20


@pytest.mark.slow  # seconds of tracing each
@pytest.mark.parametrize(
    "name, record",
    [pair for pair in planner.compiled() if "report" in pair[1]],
    ids=lambda x: x if isinstance(x, str) else "",
)
def test_an_estimate_is_near_the_compiled_step(name, record):
    seconds, peak = planner.errors(record, planner.estimate(name))
    assert abs(seconds) < TIME and abs(peak) < MEMORY
