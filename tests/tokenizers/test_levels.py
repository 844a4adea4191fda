"""Levels become pixels, to the last bit."""

import jax
import numpy as np
import pytest

from videogen.tokenizers.levels import pixels_of


@pytest.mark.parametrize("compiled", [False, True])
def test_every_level(compiled):
    levels = np.arange(256, dtype=np.uint8).reshape(4, 4, 16)
    pixels = np.asarray((jax.jit(pixels_of) if compiled else pixels_of)(levels))
    assert pixels.dtype == np.float32 and pixels.shape == levels.shape
    np.testing.assert_array_equal(
        pixels, levels.astype(np.float32) / np.float32(127.5) - 1
    )
    np.testing.assert_array_equal(np.rint((pixels + 1) * 127.5), levels)
    assert (pixels.min(), pixels.max()) == (-1, 1)
