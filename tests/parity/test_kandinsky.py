"""Kandinsky 5 against diffusers: outputs, gradients, weights both ways."""

import pytest
from parity.harness import check_parity

pytestmark = pytest.mark.parity


# (head dim, patch, latent frames, height, width, given): no two sizes of a grid are equal.
@pytest.mark.parametrize(
    "head_dim, patch, sizes, given_channels, scale",
    [
        (16, (1, 2, 2), (3, 8, 10), 0, (1.0, 1.0, 1.0)),
        (8, (1, 2, 2), (3, 8, 10), 5, (1.0, 2.0, 3.16)),
        (22, (2, 1, 3), (4, 5, 9), 5, (1.5, 1.0, 2.0)),
    ],
)
def test_kandinsky5(head_dim, patch, sizes, given_channels, scale):
    from parity.twins.kandinsky import kandinsky

    check_parity(kandinsky(head_dim, patch, sizes, given_channels, scale))
