"""Where the tokens of packed clips are."""

import jax.numpy as jnp
import numpy as np

from videogen.nn.pack import of_tokens, places
from videogen.nn.position import grid_coordinates


def test_places_are_those_of_the_clips_one_after_another():
    grids = [[(2, 1, 3), (1, 2, 2)], [(1, 1, 5), (0, 0, 0)]]
    fps = jnp.array([[24.0, 8.0], [30.0, 0.0]])
    segments_BN, coords_BN4 = places(jnp.array(grids), 12, fps)
    assert segments_BN.tolist() == [[1] * 6 + [2] * 4 + [3] * 2, [1] * 5 + [3] * 7]
    expected = np.concatenate(
        [grid_coordinates((2, 1, 3), 24.0), grid_coordinates((1, 2, 2), 8.0)]
    )
    np.testing.assert_array_equal(coords_BN4[0, :10], expected)
    np.testing.assert_array_equal(coords_BN4[1, :5], grid_coordinates((1, 1, 5), 30.0))
    assert np.isfinite(coords_BN4).all()


def test_tokens_take_their_clips_values():
    segments_BN = jnp.array([[1, 1, 2, 3]])
    values_BR2 = jnp.array([[[1.0, 2.0], [3.0, 4.0]]])
    taken = of_tokens(values_BR2, segments_BN)
    assert taken[0].tolist() == [[1, 2], [1, 2], [3, 4], [3, 4]]
