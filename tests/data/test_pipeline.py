"""The same batches on any number of hosts and from any step on."""

import dataclasses
import itertools
import json

import jax
import ml_dtypes
import numpy as np
import pytest

from videogen.core.errors import DataError
from videogen.data.pipeline import (
    Conditioning,
    make_batches,
    pad_text,
    validation_batches,
)
from videogen.data.plan import Plan
from videogen.data.source import open_dataset

GLOBAL_BATCH = 8


@pytest.fixture
def plan(sources):
    buckets = tuple(source.bucket for source in sources)
    return Plan(buckets=buckets, seed=0, global_batch=GLOBAL_BATCH)


def assert_same(one, two):
    assert one.keys() == two.keys()
    for name in one:
        np.testing.assert_array_equal(one[name], two[name], err_msg=name)


def test_shapes_and_types(sources, plan, conditioning):
    (batch,) = make_batches(sources, plan, conditioning=conditioning, stop_step=1)
    shape = sources[plan.batch(0)[0]].bucket.latent_shape
    expected = {
        "latent_BFHWC": ((8, *shape), ml_dtypes.bfloat16),
        "text_BLD": ((8, 6, 12), np.float32),
        "text_mask_BL": ((8, 6), np.bool_),
        "label_B": ((8,), np.int32),
        "fps_B": ((8,), np.float32),
        "id_B": ((8,), np.uint32),
    }
    assert {k: (v.shape, v.dtype) for k, v in batch.items()} == expected


def test_a_batch_that_is_held_keeps_its_bytes(sources, plan, conditioning):
    options = {"conditioning": conditioning, "stop_step": 24}
    copies = [
        {name: leaf.copy() for name, leaf in batch.items()}
        for batch in make_batches(sources, plan, **options)
    ]
    held = [
        jax.device_put(batch) if step % 2 else batch
        for step, batch in enumerate(make_batches(sources, plan, **options))
    ]
    for batch, copy in zip(held, copies, strict=True):
        assert_same(batch, copy)


@pytest.mark.parametrize("num_hosts", [2, 4])
def test_hosts_share_the_batch_of_one(sources, plan, conditioning, num_hosts):
    options = {"conditioning": conditioning, "stop_step": 6}
    whole = list(make_batches(sources, plan, **options))
    rows = np.split(np.arange(GLOBAL_BATCH), num_hosts)
    hosts = [list(make_batches(sources, plan, rows=r, **options)) for r in rows]
    for step, batch in enumerate(whole):
        parts = [host[step] for host in hosts]
        joined = {name: np.concatenate([p[name] for p in parts]) for name in batch}
        assert_same(joined, batch)


@pytest.mark.parametrize("start", [1, 4, 7])
def test_a_resumed_run_sees_the_same_batches(sources, plan, conditioning, start):
    whole = list(make_batches(sources, plan, conditioning=conditioning, stop_step=8))
    endless = make_batches(
        sources, plan, conditioning=conditioning, start_step=start, num_threads=1
    )
    for batch, expected in zip(endless, whole[start:], strict=False):
        assert_same(batch, expected)


def test_a_dropped_row_loses_text_and_label(sources, plan, conditioning):
    batches = list(make_batches(sources, plan, conditioning=conditioning, stop_step=40))
    dropped = 0
    for step, batch in enumerate(batches):
        gone = conditioning.dropped(step, np.arange(GLOBAL_BATCH))
        null = (batch["text_BLD"] == conditioning.null_text_LD).all(axis=(1, 2))
        np.testing.assert_array_equal(null, gone)
        np.testing.assert_array_equal(batch["label_B"] == -1, gone)
        np.testing.assert_array_equal(batch["text_mask_BL"].sum(axis=1) == 1, gone)
        dropped += gone.sum()
    assert abs(dropped / (40 * GLOBAL_BATCH) - conditioning.drop_rate) < 0.1


@pytest.mark.parametrize(("rate", "expected"), [(0.0, 0), (1.0, 1000)])
def test_rates_of_none_and_all(conditioning, rate, expected):
    null = conditioning.null_text_LD
    certain = Conditioning.of(null, length=6, drop_rate=rate, seed=0)
    assert certain.dropped(0, np.arange(1000)).sum() == expected


def test_dropout_never_changes():
    """A run that resumes in another version drops the same rows: these are law."""
    null_LD = np.zeros((1, 2), np.float32)
    half = Conditioning.of(null_LD, length=1, drop_rate=0.5, seed=5)
    assert np.flatnonzero(half.dropped(3, np.arange(12))).tolist() == [
        1,
        2,
        3,
        4,
        9,
        10,
    ]


def test_without_a_text_sidecar_all_texts_are_null(mixed, plan, conditioning):
    sources = open_dataset(mixed).sources("train")
    (batch,) = make_batches(sources, plan, conditioning=conditioning, stop_step=1)
    assert (batch["text_BLD"] == conditioning.null_text_LD).all()


def test_new_captions_change_no_batch(copy, plan):
    """The plan's id comes from the latents' ids alone."""
    for path in copy.glob("*/manifest.json"):
        data = json.loads(path.read_text())
        del data["splits"]["train"]["sidecars"]["captions-v1"]
        path.write_text(json.dumps(data))
    buckets = tuple(s.bucket for s in open_dataset(copy).sources("train"))
    again = Plan(buckets=buckets, seed=0, global_batch=GLOBAL_BATCH)
    assert again == plan and again.id == plan.id


def test_text_of_another_encoder_is_refused(sources, plan):
    wide = Conditioning.of(
        np.zeros((1, 99), np.float32), length=6, drop_rate=0.0, seed=0
    )
    with pytest.raises(DataError, match="text of width 12, but the null text has 99"):
        next(make_batches(sources, plan, conditioning=wide))


def test_sources_in_another_order_are_refused(sources, plan, conditioning):
    with pytest.raises(DataError, match="not the plan's buckets"):
        make_batches(sources[::-1], plan, conditioning=conditioning)


@pytest.mark.parametrize("batch_size", [1, 3, 5, 8])
def test_validation_sees_every_record_once(mixed, conditioning, batch_size):
    sources = open_dataset(mixed).sources("validation", text="v1")
    batches = list(
        validation_batches(sources, batch_size=batch_size, conditioning=conditioning)
    )
    seen = np.concatenate([b["id_B"][b["weight_B"] == 1] for b in batches])
    assert len(seen) == len(set(seen)) == 10
    assert all(len(batch["id_B"]) == batch_size for batch in batches)
    labels = np.concatenate([batch["label_B"] for batch in batches])
    assert (labels >= 0).all()


def test_validation_rows_are_slices_of_the_batch(mixed, conditioning):
    sources = open_dataset(mixed).sources("validation", text="v1")
    options = {"batch_size": 4, "conditioning": conditioning, "max_records": 6}
    whole = list(validation_batches(sources, **options))
    rows = np.array([2, 3])
    part = list(validation_batches(sources, rows=rows, **options))
    assert sum(batch["weight_B"].sum() for batch in whole) == 6
    for mine, batch in itertools.zip_longest(part, whole):
        assert_same(mine, {name: value[rows] for name, value in batch.items()})


@pytest.mark.parametrize(
    ("most", "expected"),
    [
        (None, [11, 5]),
        (99, [11, 5]),
        (16, [11, 5]),
        (8, [5, 3]),
        (3, [2, 1]),
        (1, [0, 1]),
    ],
)
def test_at_most_so_many_records_in_proportion(mixed, conditioning, most, expected):
    dataset = open_dataset(mixed)
    sources = dataset.sources("train")[0], dataset.sources("validation")[1]
    options = {"batch_size": 4, "conditioning": conditioning}
    batches = list(validation_batches(sources, max_records=most, **options))
    seen = [batch["id_B"][batch["weight_B"] == 1].tolist() for batch in batches]
    whole = list(validation_batches(sources, **options))
    firsts = [
        np.concatenate([b["id_B"] for b in whole[i:j]]) for i, j in [(0, 3), (3, 5)]
    ]
    wanted = [
        id for ids, count in zip(firsts, expected, strict=True) for id in ids[:count]
    ]
    assert sum(seen, []) == wanted


@pytest.mark.parametrize("drop_rate", [0.0, 0.4, 1.0])
def test_further_texts_drop_with_the_text(sources, plan, drop_rate):
    """And what is kept is the clip's own, whichever row it comes to."""
    random = np.random.default_rng(0)

    def read(source, index, *rest):
        clip = source.clip(index, *rest)
        more = {"text2": np.full((2, 5), index + 1.0), "pooled": np.full((1, 3), index)}
        return dataclasses.replace(clip, more_text=more)

    more = {
        "text2": pad_text(random.standard_normal((1, 5)), 4),
        "pooled": pad_text(np.full((1, 3), -1.0), 1),
    }
    conditioning = Conditioning.of(
        np.full((1, 12), 7.0), length=6, drop_rate=drop_rate, seed=1, more=more
    )
    alone = dataclasses.replace(conditioning, more={})
    options = {"stop_step": 12, "read": read}
    batches = make_batches(sources, plan, conditioning=conditioning, **options)
    fewer = make_batches(sources, plan, conditioning=alone, **options)
    null = conditioning.null()
    for step, (batch, without) in enumerate(zip(batches, fewer, strict=True)):
        gone_B = conditioning.dropped(step, np.arange(GLOBAL_BATCH))
        _, record_B = plan.batch(step)
        for row, gone in enumerate(gone_B):
            told = {name: batch[name][row] for name in null}
            if gone:
                assert_same(told, null)
                continue
            assert (told["pooled_BX"] == record_B[row]).all()
            assert (told["text2_BLX"][:2] == record_B[row] + 1).all()
            assert told["text2_mask_BL"].tolist() == [True, True, False, False]
        assert_same({name: batch[name] for name in without}, without)
