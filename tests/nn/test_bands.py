"""Learned rotary bands: what turns, from where places are counted, what is learned."""

import jax
import jax.numpy as jnp
import numpy as np

from videogen.nn.bands import RotaryBands, centred_coordinates
from videogen.nn.fence import Network
from videogen.nn.position import rotate


def test_places_are_centred_and_scaled_to_a_grid_of_16_by_16():
    coords = centred_coordinates((2, 16, 16)).reshape(2, 16, 16, 4)
    np.testing.assert_array_equal(coords[:, 0, 0, 0], [0, 1])
    np.testing.assert_allclose(coords[1, :, 3, 1], np.arange(16) - 7.5)
    # Twice as many tokens each way span (32 / 2 - 1), not 31.
    coords = centred_coordinates((1, 32, 32)).reshape(32, 32, 4)
    np.testing.assert_allclose(coords[[0, -1], 0, 1], [-7.5, 7.5])
    np.testing.assert_allclose(coords[0, :, 2].sum(), 0, atol=1e-5)
    assert not centred_coordinates((3, 1, 1))[:, 1:3].any()


def test_six_eighths_of_a_head_turn_by_the_bands():
    net = Network.of(lambda rngs: RotaryBands(128))
    params = net.init(jax.random.key(0))
    np.testing.assert_allclose(params["bands"], 1e4 ** -(np.arange(16) / 16), rtol=1e-6)
    coords = jnp.array([[3.0, -2.0, 0.5, 0.0]])
    cos, sin = net.apply(params, coords)
    assert cos.shape == (1, 128)
    np.testing.assert_array_equal(cos[0, 96:], 1)
    np.testing.assert_array_equal(sin[0, 96:], 0)
    bands = np.asarray(params["bands"])
    angles = np.concatenate([3 * bands, -2 * bands, 0.5 * bands])
    np.testing.assert_allclose(sin[0, :96:2], np.sin(angles), atol=1e-6)
    np.testing.assert_array_equal(cos[0, 0:96:2], cos[0, 1:96:2])


def test_scores_see_differences_and_bands_learn():
    net = Network.of(lambda rngs: RotaryBands(16))
    q, k = jax.random.normal(jax.random.key(1), (2, 3, 16))
    coords = jax.random.normal(jax.random.key(2), (3, 4))

    def scores(bands, coords):
        rotation = net.apply({"bands": bands}, coords)
        return rotate(q, *rotation) @ rotate(k, *rotation).T

    bands = net.init(jax.random.key(0))["bands"]
    got, moved = scores(bands, coords), scores(bands, coords + 5.0)
    np.testing.assert_allclose(got, moved, atol=1e-4)
    grad = jax.grad(lambda b: (scores(b, coords) ** 2).sum())(bands)
    assert (jnp.abs(grad) > 1e-3).all()
