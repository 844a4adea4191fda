"""Batches are a pure function of (ids, shapes, seed, step), and miss no record."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from videogen.core.errors import ConfigError
from videogen.data.hashing import draw64, hash64, permute
from videogen.data.plan import MOST_PROGRAMS, Bucket, Plan, batch_of_tokens


def make_plan(*sizes, seed=0, global_batch=4):
    buckets = tuple(
        Bucket(
            name=f"b{i}", num_records=n, latent_shape=(i + 1, 2, 2, 4), ids_sha256="x"
        )
        for i, n in enumerate(sizes)
    )
    return Plan(buckets=buckets, seed=seed, global_batch=global_batch)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 3000), st.integers(0, 2**64 - 1))
def test_permute_is_a_permutation(size, key):
    image = permute(np.arange(size), size, np.array(key, np.uint64))
    assert np.array_equal(np.sort(image), np.arange(size))


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(1, 2**40), min_size=1, max_size=8), st.integers(0, 2**63))
def test_many_sizes_at_once_are_each_alone(sizes, key):
    keys, indices = hash64(key, np.arange(len(sizes))), np.array(sizes) - 1
    together = permute(indices, np.array(sizes), keys)
    alone = [
        permute(indices[i : i + 1], size, keys[i : i + 1])
        for i, size in enumerate(sizes)
    ]
    assert together.tolist() == np.concatenate(alone).tolist()


def test_permutations_are_uniform():
    """Each of 5 places gets each of 5 records equally often, over 20000 keys."""
    keys = hash64(3, np.arange(20000))
    for index in range(5):
        image = permute(np.full(20000, index), 5, keys)
        counts = np.bincount(image, minlength=5)
        chi_square = np.sum((counts - 4000) ** 2 / 4000)
        assert chi_square < 23.5  # 1 in 10^4, 4 degrees of freedom


def test_hashes_never_change():
    """A run that resumes in another version finds its batches: these numbers are law."""
    assert int(hash64(0)) == 0xE220A8397B1DCDAF
    assert permute(np.arange(8), 8, np.array(1, np.uint64)).tolist() == [
        5,
        0,
        2,
        1,
        6,
        7,
        3,
        4,
    ]
    plan = make_plan(10, 7, seed=5)
    assert [plan.batch(s)[0] for s in range(6)] == [0, 1, 1, 0, 0, 1]
    assert plan.batch(3)[1].tolist() == [1, 4, 2, 6]


def test_two_uses_of_randomness_share_no_bits():
    one, other = (draw64(name, 5, np.arange(1000)) for name in ("epoch", "schedule"))
    assert not np.intersect1d(one, other).size
    assert draw64("epoch", 5, 3) == draw64("epoch", 5, 3)


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 60), st.integers(1, 70), st.integers(0, 2**40))
def test_one_bucket_serves_every_record_once_per_epoch(size, global_batch, seed):
    plan = make_plan(size, seed=seed, global_batch=global_batch)
    steps = -(-3 * size // global_batch)
    stream = np.concatenate([plan.batch(step)[1] for step in range(steps)])
    for epoch in range(3):
        part = stream[epoch * size : (epoch + 1) * size]
        assert np.array_equal(np.sort(part), np.arange(size))


@settings(max_examples=8, deadline=None)
@given(st.lists(st.integers(1, 20), min_size=2, max_size=4), st.integers(0, 99))
def test_each_bucket_of_several_does_too(sizes, seed):
    plan = make_plan(*sizes, seed=seed)
    streams: list[list[int]] = [[] for _ in sizes]
    for step in range(120):
        bucket, records = plan.batch(step)
        streams[bucket].extend(records)
    for size, stream in zip(sizes, streams, strict=True):
        whole = len(stream) // size * size
        epochs = np.sort(np.reshape(stream[:whole], (-1, size)), axis=1)
        assert len(epochs) and np.array_equal(
            epochs, np.tile(range(size), (len(epochs), 1))
        )


def test_buckets_come_as_often_as_their_sizes_ask():
    plan = make_plan(40, 8, 1)
    served = np.bincount([plan.batch(step)[0] for step in range(13)])
    assert served.tolist() == [10, 2, 1]


def test_epochs_and_seeds_differ():
    plan, other = make_plan(64, global_batch=64), make_plan(64, seed=1, global_batch=64)
    assert not np.array_equal(plan.batch(0)[1], plan.batch(1)[1])
    assert not np.array_equal(plan.batch(0)[1], other.batch(0)[1])


def test_late_steps_cost_nothing():
    plan = make_plan(10**9, 10**6, global_batch=512)
    bucket, records = plan.batch(10**12)
    assert records.max() < plan.buckets[bucket].num_records


def test_the_id_is_that_of_what_determines_the_batches():
    plan = make_plan(10, 20)
    first, second = plan.buckets
    longer = dataclasses.replace(second, num_records=21)
    reshaped = dataclasses.replace(second, latent_shape=(1, 1, 1, 4))
    others = [
        dataclasses.replace(plan, seed=1),
        dataclasses.replace(plan, global_batch=8),
        *(
            dataclasses.replace(plan, buckets=buckets)
            for buckets in (
                (second, first),
                (first,),
                (first, longer),
                (first, reshaped),
                (first, dataclasses.replace(second, ids_sha256="y")),
            )
        ),
    ]
    assert len({plan.id, *(other.id for other in others)}) == 1 + len(others)
    renamed = (dataclasses.replace(first, name="other"), second)
    assert dataclasses.replace(plan, buckets=renamed).id == plan.id


def test_buckets_of_one_shape_share_a_program():
    """Two datasets may each have the same twelve shapes."""
    plan = make_plan(*[5] * MOST_PROGRAMS)
    twice = dataclasses.replace(plan, buckets=plan.buckets * 2)
    assert len(twice.buckets) == 2 * MOST_PROGRAMS


def test_a_lopsided_mixture_has_a_cycle_of_bearable_length():
    plan = dataclasses.replace(make_plan(10, 10), counts=(10**13, 10**11))
    served = np.bincount([plan.batch(step)[0] for step in range(2000)])
    assert served[1] / served[0] == pytest.approx(0.01, rel=0.5)


def test_impossible_plans_are_refused():
    with pytest.raises(ConfigError, match="global_batch=0"):
        make_plan(3, global_batch=0)
    with pytest.raises(ConfigError, match="b1"):
        make_plan(3, 0)
    with pytest.raises(ConfigError, match="none given"):
        make_plan()
    with pytest.raises(ConfigError, match=r"13 latent shapes.*at most 12, or packs"):
        make_plan(*[1] * (MOST_PROGRAMS + 1))


def test_batches_of_each_shape_have_a_size_of_their_own():
    """Every record once per epoch still, and as often as the counts of a cycle ask."""
    plan = dataclasses.replace(
        make_plan(40, 8), sizes=(8, 2), counts=(40, 16), global_batch=2
    )
    batches = [plan.batch(step) for step in range(39)]
    assert {(b, len(records)) for b, records in batches} == {(0, 8), (1, 2)}
    assert [plan.batch_size(step) for step in range(39)] == [len(r) for _, r in batches]
    served = np.bincount([b for b, _ in batches])
    assert served.tolist() == [15, 24]  # 5 and 8 batches a cycle
    for bucket, size in ((0, 40), (1, 8)):
        stream = np.concatenate([r for b, r in batches if b == bucket])
        for epoch in range(len(stream) // size):
            part = stream[epoch * size : (epoch + 1) * size]
            assert np.array_equal(np.sort(part), np.arange(size))
    assert plan.mean_clips == pytest.approx((5 * 8 / 13, 8 * 2 / 13))
    assert plan.id != make_plan(40, 8, global_batch=2).id


def test_batches_fill_the_tokens_in_whole_multiples():
    assert [batch_of_tokens(4, 100, n) for n in (1, 5, 12, 30)] == [100, 20, 8, 4]


def test_a_ramp_is_smaller_batches_of_the_same_stream():
    """Bucket by bucket the records come as ever, only in other portions."""
    ramp = ((3, 1), (7, 2))
    plan = dataclasses.replace(make_plan(7, 20, 3), ramp=ramp)
    sizes = [len(plan.batch(step)[1]) for step in range(40)]
    assert sizes == [1] * 3 + [2] * 4 + [4] * 33
    assert [plan.batch_size(step) for step in range(40)] == sizes
    streams = {bucket: [] for bucket in range(3)}
    whole = {bucket: [] for bucket in range(3)}
    for step in range(40):
        for served, by in ((streams, plan), (whole, make_plan(7, 20, 3))):
            bucket, records = by.batch(step)
            served[bucket].extend(records.tolist())
    for bucket, stream in streams.items():
        assert stream and stream == whole[bucket][: len(stream)]
    assert plan.id != make_plan(7, 20, 3).id


def test_a_batch_is_its_places_of_the_stream_wherever_windows_end():
    plan = make_plan(777, seed=5, global_batch=1000)
    record_P = np.concatenate([plan.batch(step)[1] for step in range(10)])
    epoch_P, index_P = np.divmod(np.arange(10_000), 777)
    key_P = draw64("epoch", 5, 0, epoch_P)
    np.testing.assert_array_equal(record_P, permute(index_P, 777, key_P))
    np.testing.assert_array_equal(plan.batch(4)[1], record_P[4000:5000])


def test_growth_is_to_the_largest_batch():
    plan = make_plan(100, 100, 100, seed=1)  # shapes of 1, 2 and 3 frames
    for step in range(12):
        bucket, _ = plan.batch(step)
        assert plan.growth(step) == pytest.approx(3 / (bucket + 1))
    ramp = dataclasses.replace(make_plan(50), ramp=((3, 1),))
    assert [ramp.growth(step) for step in (0, 3)] == [4, 1]
