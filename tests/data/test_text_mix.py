"""Which text of a clip a sample has: a function of (seed, step, row) and of nothing else."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from videogen.data.packed import packed_batches
from videogen.data.packs import Packs
from videogen.data.pipeline import Conditioning, make_batches
from videogen.data.plan import Plan
from videogen.data.source import open_dataset

SHARES = (0.25, 0.5)
GLOBAL_BATCH = 8


def conditioning(shares=SHARES, drop_rate=0.0):
    null_LD = np.full((1, 12), 7, np.float32)
    return Conditioning.of(
        null_LD, length=6, drop_rate=drop_rate, seed=1, shares=shares
    )


@pytest.fixture(scope="module")
def sources(retold):
    return open_dataset(retold).sources("train", text=("v1", "v2", "v3"))


@pytest.fixture(scope="module")
def plan(sources):
    buckets = tuple(source.bucket for source in sources)
    return Plan(buckets=buckets, seed=0, global_batch=GLOBAL_BATCH)


@settings(max_examples=50)
@given(
    shares=st.lists(st.floats(0.01, 0.3), max_size=3).map(tuple),
    step=st.integers(0, 10**6),
    rows=st.lists(st.integers(0, 999), min_size=1, max_size=20),
)
def test_rows_choose_alone(shares, step, rows):
    told = conditioning(shares)
    all_B = told.chosen(step, np.arange(1000))
    np.testing.assert_array_equal(told.chosen(step, np.array(rows)), all_B[rows])
    assert set(all_B) <= set(range(len(shares) + 1))


def test_texts_have_their_shares():
    chosen = [conditioning().chosen(step, np.arange(100)) for step in range(100)]
    shares = np.bincount(np.concatenate(chosen), minlength=3) / 10_000
    np.testing.assert_allclose(shares, [0.25, *SHARES], atol=0.02)


def test_all_to_one_leaves_nothing_to_the_first():
    assert set(conditioning((1.0,)).chosen(0, np.arange(1000))) == {1}


def test_choosing_and_dropping_are_independent():
    told, rows = conditioning((0.5,), drop_rate=0.5), np.arange(10_000)
    both = (told.chosen(0, rows) == 1) & told.dropped(0, rows)
    assert abs(both.mean() - 0.25) < 0.02


def test_the_choice_never_changes():
    """A run that resumes in another version chooses the same texts: these are law."""
    law = [2, 2, 1, 0, 1, 1, 1, 1, 1, 1, 2, 2]
    assert conditioning().chosen(3, np.arange(12)).tolist() == law


def factors(batch, single):
    """Which of the texts each row has, by what it holds."""
    return np.rint(batch["text_BLD"].sum((1, 2)) / single["text_BLD"].sum((1, 2))) - 1


def test_batches_hold_the_chosen_texts(sources, plan):
    mixed = make_batches(sources, plan, conditioning=conditioning(), stop_step=6)
    single = make_batches(sources, plan, conditioning=conditioning(()), stop_step=6)
    for step, (batch, first) in enumerate(zip(mixed, single, strict=True)):
        chosen = conditioning().chosen(step, np.arange(GLOBAL_BATCH))
        np.testing.assert_array_equal(factors(batch, first), chosen)
        for name in ("latent_BFHWC", "label_B", "id_B"):
            np.testing.assert_array_equal(batch[name], first[name])


@pytest.mark.parametrize("num_hosts", [2, 4])
@pytest.mark.parametrize("start", [0, 3])
def test_hosts_and_resumes_choose_alike(sources, plan, num_hosts, start):
    options = {"conditioning": conditioning(drop_rate=0.2), "stop_step": 5}
    whole = list(make_batches(sources, plan, **options))[start:]
    rows = np.split(np.arange(GLOBAL_BATCH), num_hosts)
    hosts = [
        list(make_batches(sources, plan, rows=r, start_step=start, **options))
        for r in rows
    ]
    for step, batch in enumerate(whole):
        for name, values in batch.items():
            parts = np.concatenate([host[step][name] for host in hosts])
            np.testing.assert_array_equal(parts, values)


def test_packs_choose_alike_on_any_host(sources):
    packs = Packs(
        buckets=tuple(source.bucket for source in sources),
        seed=0,
        global_batch=4,
        tokens=tuple(int(np.prod(s.bucket.latent_shape[:3])) for s in sources),
        counts=tuple(len(source) for source in sources),
        row_tokens=36,
        row_clips=4,
    )

    def batches(shares, **options):
        return list(
            packed_batches(
                *(sources, packs),
                patch=(1, 1, 1),
                conditioning=conditioning(shares),
                stop_step=3,
                **options,
            )
        )

    whole, halves = (
        batches(SHARES),
        [batches(SHARES, rows=slice(h, None, 2)) for h in (0, 1)],
    )
    for step, (batch, first) in enumerate(zip(whole, batches(()), strict=True)):
        for half in range(2):
            np.testing.assert_array_equal(
                halves[half][step]["text_BLD"], batch["text_BLD"][half::2]
            )
        for row in range(4):
            clips = (batch["grid_BR3"][row, :, 0] > 0).sum()
            chosen = conditioning().chosen(step, row * 4 + np.arange(clips))
            for place in range(clips):
                here = batch["text_segments_BL"][row] == place + 1
                sums = [b["text_BLD"][row, here].sum() for b in (batch, first)]
                assert round(sums[0] / sums[1]) - 1 == chosen[place]
