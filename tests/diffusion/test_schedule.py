"""Noise schedules: published ends, their order, and what zero terminal SNR keeps."""

import numpy as np
import pytest

from videogen.diffusion.schedule import alpha_bar, betas

DIT = ("linear", 1000, (1e-4, 0.02))
COGVIDEOX = ("scaled_linear", 1000, (0.00085, 0.012))


def test_dit_ends():
    table = alpha_bar(*DIT)
    assert table[0] == pytest.approx(0.9999, abs=1e-12)
    assert table[-1] == pytest.approx(4.0358e-5, rel=1e-4)


@pytest.mark.parametrize("snr_shift", [1.0, 3.0])
def test_cogvideox_ends_in_noise_alone(snr_shift):
    plain = alpha_bar(*COGVIDEOX, snr_shift=snr_shift)
    table = alpha_bar(*COGVIDEOX, snr_shift=snr_shift, zero_terminal_snr=True)
    assert table[-1] == 0 and plain[-1] > 0
    assert table[0] == pytest.approx(plain[0], rel=1e-12)
    assert np.all(np.diff(table) < 0)


def test_snr_shift_divides_the_snr():
    plain, shifted = alpha_bar(*COGVIDEOX), alpha_bar(*COGVIDEOX, snr_shift=3.0)
    ratio = plain / (1 - plain) / (shifted / (1 - shifted))
    np.testing.assert_allclose(ratio, 3.0, rtol=1e-9)


def test_scaled_linear_has_its_ends():
    table = betas(*COGVIDEOX[:2], *COGVIDEOX[2])
    np.testing.assert_allclose(table[[0, -1]], COGVIDEOX[2], rtol=1e-12)


def test_cosine_follows_its_formula_until_the_last_steps():
    table = alpha_bar("cosine", 100, (0.1, 0.2))
    level = np.cos((np.arange(101) / 100 + 0.008) / 1.008 * np.pi / 2) ** 2
    np.testing.assert_allclose(table[:-1], (level[1:] / level[0])[:-1], rtol=1e-9)
    assert 0 < table[-1] < 1e-5
