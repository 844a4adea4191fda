"""What encoders see: planes stay planes, and each kind has its own range."""

import numpy as np
import pytest

from videogen.image import pixels


@pytest.mark.parametrize("before, after", [(5, 9), (9, 5), (7, 7), (3, 1), (1, 4)])
def test_interpolation_keeps_what_is_constant(before, after):
    matrix = pixels.cubic(before, after)
    assert matrix.shape == (after, before)
    np.testing.assert_allclose(matrix.sum(1), 1, atol=1e-6)
    if before == after:
        np.testing.assert_array_equal(matrix, np.eye(before))


def test_ranges():
    white = np.full((6, 10, 3), 255, np.uint8)
    want = (1 - pixels.CLIP_MEAN) / pixels.CLIP_STD
    np.testing.assert_allclose(
        pixels.of_clip(white, 4), np.broadcast_to(want, (4, 4, 3))
    )
    assert pixels.of_siglip(white, 4).tolist() == np.ones((4, 4, 3)).tolist()
    assert pixels.of_siglip(0 * white, 4).min() == -1
    black = pixels.of_clip(0 * white, 4) * pixels.CLIP_STD + pixels.CLIP_MEAN
    np.testing.assert_allclose(black, 0, atol=1e-6)


def test_all_of_the_image_is_seen():
    """Stretched, not cropped: each edge shows."""
    for edge in (
        np.index_exp[0, :],
        np.index_exp[-1, :],
        np.index_exp[:, 0],
        np.index_exp[:, -1],
    ):
        image = np.zeros((4, 9, 3), np.uint8)
        image[edge] = 255
        for prepare in (pixels.of_clip, pixels.of_siglip):
            dark = prepare(0 * image, 4)
            assert np.abs(prepare(image, 4) - dark).max() > 0.2
