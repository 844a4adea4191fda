"""The weight-free encoder: words are fixed vectors."""

import numpy as np
import pytest

from videogen.core.errors import ConfigError
from videogen.text import make_encoder
from videogen.text.hashed import HashedWords

ENCODER = HashedWords(length=6, dim=64)


def test_shapes_mask_and_zeros():
    text_BLD, mask_BL = ENCODER.encode(["A red, red bicycle", "", "a b c d e f g h"])
    assert text_BLD.shape == (3, 6, 64) and text_BLD.dtype == np.float32
    np.testing.assert_array_equal(mask_BL.sum(1), [5, 1, 6])
    assert not text_BLD[~mask_BL].any()
    assert np.all(np.linalg.norm(text_BLD[mask_BL], axis=-1) > 4)


def test_a_word_is_its_vector_wherever_it_stands():
    (one, other), _ = ENCODER.encode(["RED bicycle", "bicycle, red!"])
    np.testing.assert_array_equal(one[[1, 2]], other[[2, 1]])
    assert abs(np.corrcoef(one[1], one[2])[0, 1]) < 0.5


def test_the_same_on_every_machine():
    text_BLD, _ = ENCODER.encode(["bicycle"])
    want = [0.920087, -0.120871, -0.718027]
    np.testing.assert_allclose(text_BLD[0, 1, :3], want, atol=1e-6)


def test_no_texts():
    text_BLD, mask_BL = ENCODER.encode([])
    assert text_BLD.shape == (0, 6, 64) and mask_BL.shape == (0, 6)


def test_fingerprint_knows_the_length_and_the_width():
    prints = {HashedWords(6, 64), HashedWords(7, 64), HashedWords(6, 65)}
    assert len({encoder.fingerprint for encoder in prints}) == 3
    assert HashedWords(6, 64).fingerprint == ENCODER.fingerprint


def test_by_name():
    encoder = make_encoder("hash", 5)
    assert (encoder.name, encoder.length) == ("hash", 5)
    with pytest.raises(
        ConfigError, match=r"'hsah' does not exist \(did you mean 'hash'"
    ):
        make_encoder("hsah", 5)
    with pytest.raises(ConfigError, match="length=0 must be at least 1"):
        make_encoder("hash", 0)
