"""Latte-1 against diffusers; Open-Sora 1.2 and Plan 1.3 against their formulas."""

import pytest
from parity.harness import check_parity

pytestmark = pytest.mark.parity


@pytest.fixture(scope="module")
def factorised():
    pytest.importorskip("torch")
    from parity.twins import factorised

    return factorised


@pytest.mark.parametrize("sizes", [(16, 4, 6), (1, 8, 10)])
def test_latte(factorised, sizes):
    check_parity(factorised.latte(sizes))


def test_open_sora(factorised):
    check_parity(factorised.open_sora())


@pytest.mark.parametrize("sizes", [(3, 8, 10), (2, 8, 16)])
def test_open_sora_plan(factorised, sizes):
    """60 tokens, which 16 does not divide, and 64."""
    check_parity(factorised.plan(sizes))
