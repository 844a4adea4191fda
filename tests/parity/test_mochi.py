"""Mochi against diffusers: outputs, gradients, weights both ways."""

import pytest
from parity.harness import check_parity

pytestmark = pytest.mark.parity


@pytest.mark.filterwarnings("ignore:In CPU autocast")  # their rotary embedding
@pytest.mark.parametrize("depth, sizes", [(3, (3, 8, 10)), (1, (2, 6, 4))])
def test_mochi(depth, sizes):
    """No two sizes of the grid are equal."""
    from parity.twins.mochi import mochi

    check_parity(mochi(depth, sizes))
