"""Which numbers of tokens are padded, and with what."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from videogen.nn.padding import padded_tokens
from videogen.ops.attention.api import AttentionPlan
from videogen.ops.attention.mask import repeat_last
from videogen.parallel.mesh import AXES


@pytest.mark.parametrize(
    "ways, tiled, tokens, padded",
    (
        (1, True, 75_601, 75_601),  # cut by nothing
        (4, True, 75_600, 75_776),  # tiles of 128
        (4, True, 75_776, 75_776),
        (16, True, 18_900, 18_912),  # tiles would be 1,580 tokens of padding
        (4, False, 75_601, 75_604),
    ),
)
def test_the_number_of_tokens(ways, tiled, tokens, padded):
    assert padded_tokens(tokens, ways, tiled) == padded


def test_padding_is_like_the_last_token():
    x = jnp.arange(6.0).reshape(1, 3, 2)
    np.testing.assert_array_equal(repeat_last(x, 5, 1)[0, 3:], [x[0, 2]] * 2)
    assert repeat_last(x, 3, 1) is x
    static = repeat_last(np.zeros((3, 4)), 5, -2)
    assert isinstance(static, np.ndarray) and static.shape == (5, 4)


@pytest.mark.parametrize(
    "sizes, tiled",
    (
        ({"chip": "v6e"}, True),
        ({"chip": "v6e", "ring": 2}, False),  # padding would need a mask
        ({}, False),  # no lanes
    ),
)
def test_where_tokens_are_cut_in_tiles(sizes, tiled):
    devices = np.array(jax.devices()[:1] * 4).reshape(1, 1, 4, 1)
    mesh = jax.sharding.Mesh(devices, AXES)
    assert AttentionPlan(mesh=mesh, **sizes).moves_tiles(40) is tiled
