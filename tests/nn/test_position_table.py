"""A learned vector for every place."""

import jax.numpy as jnp
import numpy as np
from flax import nnx

from videogen.nn.position import grid_coordinates
from videogen.nn.position_table import PositionTable


def test_rows_are_of_the_text_then_of_frames_rows_columns():
    table = PositionTable((2, 3, 4), 5, 1)
    table.table = nnx.Param(jnp.arange(29.0)[:, None])
    assert not PositionTable((2, 3, 4), 5, 1).table[...].any()
    np.testing.assert_array_equal(table.text(3)[:, 0], [0, 1, 2])
    coords = grid_coordinates((2, 3, 4))
    np.testing.assert_array_equal(table(coords)[:, 0], np.arange(5, 29))
    np.testing.assert_array_equal(table(coords[::-1])[:, 0], np.arange(5, 29)[::-1])
    np.testing.assert_array_equal(
        table(grid_coordinates((1, 2, 2)))[:, 0], [5, 6, 9, 10]
    )


def test_places_beyond_the_table_are_nan_where_nobody_can_look():
    table = PositionTable((2, 3, 4), 5, 1)
    for beyond in ([0, 0, 4, 0], [0, 3, 0, 0], [2, 0, 0, 0], [0, 0, -1, 0]):
        assert np.isnan(table(jnp.array([beyond], jnp.float32))).all()
