"""Levels become pixels, to the last bit."""

import numpy as np

from data_pipelines.pixels import pixels_of


def test_every_level():
    levels = np.arange(256, dtype=np.uint8).reshape(4, 4, 16)
    pixels = pixels_of(levels)
    assert pixels.dtype == np.float32 and pixels.shape == levels.shape
    np.testing.assert_array_equal(pixels, levels.astype(np.float32) / 127.5 - 1)
    np.testing.assert_array_equal(np.rint((pixels + 1) * 127.5), levels)
    assert (pixels.min(), pixels.max()) == (-1, 1)
