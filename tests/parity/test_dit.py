"""DiT against diffusers; DiT and Latte against the published formulas in PyTorch."""

import dataclasses

import pytest
from parity.harness import check_parity

pytestmark = pytest.mark.parity

CASES = {  # name: (the published model, frames and sizes, changes)
    "dit": ("dit_xl_2", (1, 6, 10), {}),
    "dit with another patch": ("dit_xl_2", (1, 4, 9), {"patch": (1, 1, 3)}),
    "latte": ("latte_xl_2_ucf101", (3, 6, 10), {"depth": 4, "factorised": True}),
    "latte without classes": (
        *("latte_xl_2", (5, 6, 4)),
        {"depth": 4, "factorised": True, "num_classes": 0},
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_published_formulas(case):
    from parity.twins import dit

    name, sizes, changes = CASES[case]
    config = dataclasses.replace(dit.DIT, **changes)
    check_parity(dit.formulas(name, config, sizes))


def test_diffusers():
    from parity.twins import dit

    check_parity(dit.diffusers())
