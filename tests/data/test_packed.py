"""Rows of packs hold what their clips hold, on any number of hosts and from any step on."""

import jax.numpy as jnp
import numpy as np
import pytest

from videogen.data.packed import Row, join_latents, join_texts, packed_batches
from videogen.data.packs import Packs
from videogen.nn.patch import patchify

PATCH = (1, 1, 1)
TOKENS = (12, 6)  # of the two buckets of `mixed`


@pytest.fixture
def packs(sources):
    return Packs(
        buckets=tuple(source.bucket for source in sources),
        tokens=TOKENS,
        counts=tuple(len(source) for source in sources),
        seed=0,
        global_batch=4,
        row_tokens=32,
        row_clips=5,
    )


@pytest.fixture
def make(sources, packs, conditioning):
    def make(**options):
        return list(
            packed_batches(
                *(sources, packs), patch=PATCH, conditioning=conditioning, **options
            )
        )

    return make


def test_rows_hold_their_clips(make, sources, packs, conditioning):
    for step, batch in enumerate(make(stop_step=3)):
        for index, row in enumerate(packs.rows(step)):
            start, text_start = 0, 0
            dropped = conditioning.dropped(step, index * 5 + np.arange(len(row)))
            for place, (bucket, record) in enumerate(row):
                clip = sources[bucket][record]
                latent_BFHWC = clip.latent.latent_FHWC[None]
                stop = start + TOKENS[bucket]
                np.testing.assert_array_equal(
                    batch["tokens_BNP"][index, start:stop],
                    np.asarray(patchify(jnp.asarray(latent_BFHWC), PATCH))[0],
                )
                assert tuple(batch["grid_BR3"][index, place]) == latent_BFHWC.shape[1:4]
                text_LD = (
                    conditioning.null_text_LD[:1] if dropped[place] else clip.text_LD
                )
                text_stop = text_start + len(text_LD)
                here = slice(text_start, text_stop)
                np.testing.assert_array_equal(
                    batch["text_BLD"][index, here], text_LD.astype(np.float32)
                )
                assert (batch["text_segments_BL"][index, here] == place + 1).all()
                start, text_start = stop, text_stop
            assert not batch["tokens_BNP"][index, start:].any()
            assert not batch["grid_BR3"][index, len(row) :].any()
            assert not batch["text_segments_BL"][index, text_start:].any()


def test_patches_are_those_of_the_network():
    latent_FHWC = np.arange(2 * 2 * 4 * 4).reshape(2, 2, 4, 4).astype(np.float32)
    row = Row(tokens=5, clips=2, text_tokens=3, patch=(2, 2, 2))
    tokens_NP, grid_R3 = join_latents([latent_FHWC, -latent_FHWC], row)
    expected = np.asarray(patchify(jnp.asarray(latent_FHWC)[None], row.patch))[0]
    np.testing.assert_array_equal(tokens_NP[:4], np.concatenate([expected, -expected]))
    assert grid_R3.tolist() == [[1, 1, 2]] * 2 and not tokens_NP[4:].any()


def test_hosts_share_the_batch_of_one_and_resume(make):
    whole = make(stop_step=4)
    halves = [make(stop_step=4, rows=np.arange(4)[half::2]) for half in range(2)]
    for name in whole[0]:
        for step in range(4):
            for half in range(2):
                np.testing.assert_array_equal(
                    halves[half][step][name], whole[step][name][half::2]
                )
            again = make(start_step=step, stop_step=step + 1)
            np.testing.assert_array_equal(again[0][name], whole[step][name])


def test_long_texts_are_cut_and_short_ones_kept():
    texts = [np.full((n, 2), n, np.float32) for n in (2, 9, 7)]
    text_LD, segments_L = join_texts(texts, 12)
    assert np.bincount(segments_L).tolist() == [0, 2, 5, 5]
    assert [int(text_LD[segments_L == i][0, 0]) for i in (1, 2, 3)] == [2, 9, 7]
    text_LD, segments_L = join_texts(texts, 20)
    assert np.bincount(segments_L).tolist() == [2, 2, 9, 7]
