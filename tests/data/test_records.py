"""Rows survive the trip to bytes and back."""

import ml_dtypes
import numpy as np
import pytest

from videogen.data import records

FACTS = {"fps": 8.0, "start_s": 1.5, "num_frames": 5, "height": 24, "width": 16}


def test_a_latent_comes_back_in_bfloat16():
    latent = np.random.default_rng(0).normal(size=(2, 3, 2, 4)).astype(np.float32)
    row = records.parse_latent(
        records.latent_record(
            id="a1", source_id="s", latent_FHWC=latent, label=3, **FACTS
        )
    )
    np.testing.assert_array_equal(row.latent_FHWC, latent.astype(ml_dtypes.bfloat16))
    assert (row.id, row.source_id, row.label) == ("a1", "s", 3)
    assert {name: getattr(row, name) for name in FACTS} == FACTS


def test_a_latent_goes_where_it_belongs(monkeypatch):
    """In pieces; what is of another shape is seen where it lies."""
    monkeypatch.setattr(records, "_CACHED", 7)
    latent = np.random.default_rng(0).normal(size=(2, 3, 2, 4)).astype(records.BFLOAT16)
    record = records.latent_record(id="a", source_id="s", latent_FHWC=latent, **FACTS)
    rows = np.zeros((2, *latent.shape), records.BFLOAT16)
    place = rows[1]
    assert records.parse_latent(record, place).latent_FHWC is place
    np.testing.assert_array_equal(rows, [0 * latent, latent])
    other = np.zeros((1, 3, 2, 4), records.BFLOAT16)
    np.testing.assert_array_equal(
        records.parse_latent(record, other).latent_FHWC, latent
    )
    assert not other.any()


@pytest.mark.parametrize("bad", [np.nan, np.inf, 3.4e38])
def test_a_latent_that_is_not_finite_is_refused(bad):
    with pytest.raises(ValueError, match="clip a1: latent .* not finite"):
        latent = np.full((1, 1, 1, 1), bad, np.float32)
        records.latent_record(id="a1", source_id="s", latent_FHWC=latent, **FACTS)


@pytest.mark.parametrize("caption", ["", "caf\u00e9", None])
def test_a_caption_comes_back_and_null_is_not_empty(caption):
    row = records.parse_caption(records.caption_record(id="a", caption=caption))
    assert row.is_null == (caption is None)
    assert row.caption == (caption or "")


@pytest.mark.parametrize("length", [0, 3])
def test_text_keeps_only_its_tokens(length):
    text = np.ones((length, 5), np.float32)
    row = records.parse_text(records.text_record(id="a", text_LD=text))
    assert row.text_LD.shape == (length, 5)


@pytest.mark.parametrize("heard", [True, False])
def test_a_sound_comes_back_and_silence_is_not_no_sound(heard):
    audio = np.zeros((4, 3), np.float32)
    row = records.parse_audio(records.audio_record(id="a", audio_AC=audio, heard=heard))
    assert (row.audio_AC.shape, row.heard) == ((4, 3), heard)
    with pytest.raises(ValueError, match="is not A, C"):
        records.audio_record(id="a", audio_AC=audio[0], heard=heard)
