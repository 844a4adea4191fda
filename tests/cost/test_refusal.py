"""What libtpu says of a program that is too large."""

import pytest

from videogen.cost.refusal import parse


@pytest.mark.parametrize(
    "said, needed",
    [
        (
            "XLA:TPU compile permanent error. Used 18.25G of 15.75G hbm. Exceeded ...",
            18.25,
        ),
        (
            "Ran out of memory on HBM, the total memory required for HLO temporaries "
            "(800.28G) exceeds available HBM (15.75G).",
            800.28,
        ),
        ("RESOURCE_EXHAUSTED: Used 1.5T of 15.75G hbm.", 1536.0),
    ],
)
def test_the_figures_are_read(said, needed):
    refusal = parse(said)
    assert refusal is not None
    assert (refusal.needed, refusal.allowed) == (needed, 15.75)
    assert refusal.excess == needed - 15.75


def test_other_complaints_are_not_of_memory():
    assert parse("INVALID_ARGUMENT: no such flag") is None
