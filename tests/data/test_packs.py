"""Packs are a pure function of the step, full, and miss no record."""

import collections
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from videogen.core.errors import ConfigError
from videogen.data.packs import Packs, pack
from videogen.data.plan import Bucket


def make_packs(sizes, tokens, *, row_tokens=24, row_clips=6, global_batch=4, seed=0):
    buckets = tuple(
        Bucket(name=f"b{i}", num_records=n, latent_shape=(t, 1, 1, 4), ids_sha256="x")
        for i, (n, t) in enumerate(zip(sizes, tokens, strict=True))
    )
    return Packs(
        buckets=buckets,
        tokens=tuple(tokens),
        counts=tuple(sizes),
        seed=seed,
        global_batch=global_batch,
        row_tokens=row_tokens,
        row_clips=row_clips,
    )


kinds = st.lists(
    st.tuples(st.integers(1, 40), st.integers(1, 24)), min_size=1, max_size=5
)


@settings(max_examples=30, deadline=None)
@given(kinds, st.integers(1, 8), st.integers(0, 2**40))
def test_rows_hold_every_record_once_per_epoch(kinds, row_clips, seed):
    sizes, tokens = zip(*kinds, strict=True)
    packs = make_packs(sizes, tokens, row_clips=row_clips, seed=seed, global_batch=3)
    rows = [
        row for step in range(-(-2 * packs.num_rows // 3)) for row in packs.rows(step)
    ]
    for epoch in range(2):
        part = rows[epoch * packs.num_rows : (epoch + 1) * packs.num_rows]
        clips = collections.Counter(clip for row in part for clip in row)
        expected = {(b, r) for b, size in enumerate(sizes) for r in range(size)}
        assert clips.keys() == expected and set(clips.values()) == {1}
    for row in rows:
        assert 1 <= len(row) <= row_clips
        assert sum(tokens[bucket] for bucket, _ in row) <= packs.row_tokens


def test_epochs_differ_and_rows_are_shuffled():
    packs = make_packs([64], [8], global_batch=packs_rows(64, 8))
    first, second = packs.rows(0), packs.rows(1)
    assert first != second and sorted(sum(first, [])) == sorted(sum(second, []))
    assert sum(first, []) != sorted(sum(first, []))


def packs_rows(size, tokens, row_tokens=24):
    return -(-size // (row_tokens // tokens))


def test_a_realistic_mix_fills_99_percent():
    """Images and clips of six durations, eight sizes, sizes and lengths as they come."""
    rng = np.random.default_rng(0)
    spaces = (16, 16), (16, 28), (28, 16), (30, 52), (52, 30), (22, 40), (40, 22)
    frames = 1, 5, 9, 13, 21, 33
    tokens = [f * h * w // 4 for f in frames for h, w in (*spaces, (45, 80))]
    sizes = rng.integers(1, 3_000_000, len(tokens))
    packs = make_packs(
        sizes.tolist(), tokens, row_tokens=32768, row_clips=64, global_batch=64
    )
    assert packs.fill >= 0.99
    late = packs.rows(10**7)
    assert len(late) == 64 and late == packs.rows(10**7)
    assert min(cpu_s(packs, step) for step in range(3)) < 0.015  # 1.5 ms by itself


def cpu_s(packs, step):
    """Of a step's rows; those of many steps and buckets are alike."""
    start = time.process_time()
    packs.rows(step)
    return time.process_time() - start


def test_rows_never_change():
    """A run that resumes in another version finds its batches: these numbers are law."""
    packs = make_packs([9, 7, 5], [4, 7, 12], seed=5, global_batch=2)
    assert packs.rows(0) == [[(2, 0), (2, 4)], [(0, 6), (0, 0), (1, 5), (1, 6)]]
    assert packs.rows(1000) == [[(2, 4), (2, 2)], [(0, 6), (0, 2), (0, 3), (2, 3)]]


@pytest.mark.parametrize("wanted", [slice(1, 3), slice(4, 4), np.array([0, 3])])
def test_a_host_plans_its_own_rows_alone(wanted):
    packs = make_packs([9, 7, 5], [4, 7, 12], seed=5)
    places = np.arange(4)[wanted]
    for step in (0, 7, 10**6):
        rows = packs.rows(step)
        assert packs.rows(step, wanted) == [rows[place] for place in places]


def test_a_row_is_filled_by_the_nearest_sum():
    """7 + 3 would leave 2 of 12 empty; 7 + 5 leaves nothing."""
    pattern_PK, repeat_P = pack([7, 5, 3], [1, 1, 3], 12, 4)
    assert pattern_PK.tolist() == [[1, 1, 0], [0, 0, 3]] and repeat_P.tolist() == [1, 1]


def test_the_id_is_that_of_what_determines_the_rows():
    ids = {
        make_packs([5, 6], [8, 3]).id,
        make_packs([5, 7], [8, 3]).id,
        make_packs([5, 6], [8, 4]).id,
        make_packs([5, 6], [8, 3], seed=1).id,
        make_packs([5, 6], [8, 3], row_tokens=25).id,
        make_packs([5, 6], [8, 3], row_clips=7).id,
        make_packs([5, 6], [8, 3], global_batch=5).id,
    }
    assert len(ids) == 7
    assert make_packs([5, 6], [8, 3]).id in ids


def test_impossible_packs_are_refused():
    with pytest.raises(ConfigError, match=r"row_tokens=24.*b1 has 25.*at least 25"):
        make_packs([3, 3], [2, 25])
    with pytest.raises(ConfigError, match="row_clips=0"):
        make_packs([3], [2], row_clips=0)
