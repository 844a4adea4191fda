"""The lapped transform gives every sound back, and keeps its energy."""

import jax
import numpy as np
import pytest

from videogen.tokenizers.mdct import Mdct, basis


def sound(num_samples, rows=2):
    return np.random.default_rng(0).uniform(-1, 1, (rows, num_samples)).astype("f")


@pytest.mark.parametrize("channels", [1, 6, 64])
@pytest.mark.parametrize("num_samples", [1, 64, 1000])
def test_every_sound_comes_back(channels, num_samples):
    mdct = Mdct.of(8000, channels)
    x_BS = sound(num_samples)
    audio_BAC = jax.jit(mdct.encode)(x_BS)
    assert audio_BAC.shape == (2, mdct.num_frames(num_samples), channels)
    back_BS = np.asarray(jax.jit(mdct.decode)(audio_BAC))
    assert back_BS.shape == (2, (audio_BAC.shape[1] - 1) * channels)
    np.testing.assert_allclose(back_BS[:, :num_samples], x_BS, atol=2e-6)
    np.testing.assert_allclose(back_BS[:, num_samples:], 0, atol=2e-6)
    np.testing.assert_allclose((audio_BAC**2).sum(), (x_BS**2).sum(), rtol=1e-4)


def test_frames_are_orthonormal_to_themselves_and_their_neighbours():
    for channels in (2, 32):
        table = basis(channels)
        np.testing.assert_allclose(table.T @ table, np.eye(channels), atol=1e-5)
        overlap = table[channels:].T @ table[:channels]
        np.testing.assert_allclose(overlap, 0, atol=1e-5)


def test_a_tone_is_in_its_band_and_at_its_time():
    mdct = Mdct.of(8000, 40)  # bands of 100 Hz, frames of 5 ms
    time_s = np.arange(4000) / 8000
    tone = np.where(time_s >= 0.25, np.sin(2 * np.pi * 1250 * time_s), 0)
    audio_BAC = jax.jit(mdct.encode)(tone[None].astype("f"))
    energy_AC = np.asarray(audio_BAC)[0] ** 2
    assert energy_AC.sum(0).argmax() == 12
    assert energy_AC[:50].sum() < 1e-6 < energy_AC[51:].sum()
    assert mdct.frame_rate == 200


def test_facts_follow_from_rate_and_bands():
    assert Mdct.of(16000, 256).num_samples(0.5) == 8000
    assert Mdct.of(16000, 256).num_frames(8000) == 1 + 32
    prints = {Mdct.of(*sizes).fingerprint for sizes in ((8, 2), (8, 4), (16, 2))}
    assert len(prints) == 3
