"""CogVideoX against diffusers: outputs, gradients, weights both ways."""

import pytest
from parity.harness import check_parity

pytestmark = pytest.mark.parity


@pytest.mark.parametrize("name", ["2b", "5b", "5b_i2v", "1_5", "1_5_i2v"])
def test_diffusers(name):
    """No two sizes of a grid are equal."""
    from parity.twins import cogvideox

    check_parity(getattr(cogvideox, f"of_{name}")())
