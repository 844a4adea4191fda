"""Latents are drawn by (seed, step, row) alone, from the normal that mean and variance say."""

import dataclasses
import weakref

import ml_dtypes
import numpy as np
import pytest

from videogen.core.errors import DataError
from videogen.data.packed import packed_batches
from videogen.data.packs import Packs
from videogen.data.pipeline import make_batches
from videogen.data.plan import Plan
from videogen.data.posterior import Posterior, normal
from videogen.data.records import LatentRow, latent_record, parse_latent
from videogen.data.source import Clip

SHAPE = (4, 16, 16, 8)
FACTS = {"id": "a", "source_id": "b", "fps": 8.0, "start_s": 0.0}
FACTS |= {"num_frames": 13, "height": 128, "width": 128, "label": 0}


def clip(mean=0.0, logvar=0.0):
    mean_FHWC = np.full(SHAPE, mean, ml_dtypes.bfloat16)
    logvar_FHWC = np.full(SHAPE, logvar, ml_dtypes.bfloat16)
    row = LatentRow(latent_FHWC=mean_FHWC, logvar_FHWC=logvar_FHWC, **FACTS)
    return Clip(latent=row, caption=None, text_LD=None)


def drawn(step, row, seed=1, **facts):
    (made,) = Posterior(seed=seed)([clip(**facts)], step, np.array([row]))
    return made.latent.latent_FHWC.astype(np.float32)


def test_the_noise_is_normal():
    noise = normal(7, (1 << 18,))
    assert noise.dtype == np.float32 and np.isfinite(noise).all()
    moments = [np.mean(noise**k) for k in (1, 2, 3, 4)]
    np.testing.assert_allclose(moments, [0, 1, 0, 3], atol=0.06)
    halves = noise[: 1 << 17], noise[1 << 17 :]  # cosines and sines of the same angles
    assert abs(np.mean(halves[0] * halves[1])) < 0.01
    assert normal(7, (3,)).shape == (3,)


def test_the_noise_stays_what_it_was():
    """Runs that are resumed by a later version find it."""
    want = [-1.492007, -0.07370715, 0.39776218, -0.5680191]
    np.testing.assert_allclose(normal(1, (4,)), want, rtol=1e-5)


def test_mean_and_variance_are_the_records():
    found = drawn(3, 4, mean=2.0, logvar=2 * np.log(0.5))
    assert abs(found.mean() - 2) < 0.02 and abs(found.std() - 0.5) < 0.02


def test_draws_depend_on_seed_step_and_row():
    same = drawn(3, 4)
    np.testing.assert_array_equal(drawn(3, 4), same)
    for other in (drawn(2, 4), drawn(3, 5), drawn(3, 4, seed=2)):
        assert (other != same).any()


def test_records_keep_it_and_say_nothing_of_none():
    row = clip(0.5, -3.0).latent
    record = latent_record(**vars(row))
    back = parse_latent(record)
    np.testing.assert_array_equal(back.logvar_FHWC, row.logvar_FHWC)
    np.testing.assert_array_equal(back.latent_FHWC, row.latent_FHWC)
    without = dataclasses.replace(row, logvar_FHWC=None)
    record = latent_record(**vars(without))
    assert b"logvar" not in record and parse_latent(record).logvar_FHWC is None
    for bad in (np.zeros((1, 2)), np.full(SHAPE, np.nan)):
        with pytest.raises(ValueError, match="clip a: log"):
            latent_record(**vars(row) | {"logvar_FHWC": bad})


def test_batches_are_drawn_after_reading(sources, conditioning):
    """Each host draws its rows as one host draws all; without variances it cannot."""
    plan = Plan(buckets=tuple(s.bucket for s in sources), seed=0, global_batch=8)

    def read(source, *row):
        found = source.clip(*row)
        logvar = np.zeros_like(found.latent.latent_FHWC)
        latent = dataclasses.replace(found.latent, logvar_FHWC=logvar)
        return dataclasses.replace(found, latent=latent)

    def batches(**options):
        given = {"conditioning": conditioning, "stop_step": 2} | options
        return list(make_batches(sources, plan, **given))

    draw = Posterior(seed=5)
    whole = batches(read=read, draw=draw)
    for plain, batch in zip(batches(), whole, strict=True):
        noise = batch["latent_BFHWC"].astype(np.float32)
        noise -= plain["latent_BFHWC"].astype(np.float32)
        assert 0.5 < noise.std() < 1.5
        rest = [name for name in batch if name != "latent_BFHWC"]
        for name in rest:
            np.testing.assert_array_equal(batch[name], plain[name])
    half = batches(read=read, draw=draw, rows=slice(4, 8))
    for part, batch in zip(half, whole, strict=True):
        np.testing.assert_array_equal(part["latent_BFHWC"], batch["latent_BFHWC"][4:])
    with pytest.raises(
        DataError, match="no log variance: config.data.sample_posterior"
    ):
        batches(draw=draw)


def test_a_batch_keeps_no_variance(sources, conditioning):
    """It is a view of a record, which would stay in memory with it."""
    plan = Plan(buckets=tuple(s.bucket for s in sources), seed=0, global_batch=8)
    seen = []

    def read(source, *row):
        gone = [variance() is None for variance in seen[:-1]]  # the last one is at work
        assert all(gone)
        found = source.clip(*row)
        logvar = np.zeros_like(found.latent.latent_FHWC)
        seen.append(weakref.ref(logvar))
        latent = dataclasses.replace(found.latent, logvar_FHWC=logvar)
        return dataclasses.replace(found, latent=latent)

    options = {"conditioning": conditioning, "stop_step": 1, "num_threads": 1}
    list(make_batches(sources, plan, read=read, **options))
    assert len(seen) == 8


def test_packs_are_drawn_too(sources, conditioning):
    packs = Packs(
        buckets=tuple(source.bucket for source in sources),
        tokens=(12, 6),
        counts=tuple(len(source) for source in sources),
        seed=0,
        global_batch=2,
        row_tokens=32,
        row_clips=5,
    )
    seen = []

    def draw(clips, step, row_B):
        seen.append((step, row_B.tolist()))
        return clips

    options = {"patch": (1, 1, 1), "conditioning": conditioning, "stop_step": 1}
    list(packed_batches(sources, packs, draw=draw, num_threads=1, **options))
    rows = packs.rows(0)
    assert seen == [
        (0, [5 * i + place for place in range(len(rows[i]))]) for i in (0, 1)
    ]
