"""Shares of clips hold over a cycle, whatever the sizes of the datasets."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from videogen.core.errors import ConfigError
from videogen.data.mixture import cycle_counts

sizes = st.lists(st.integers(50, 10_000), min_size=1, max_size=3)


@given(sizes, sizes, st.floats(0.05, 0.95))
def test_shares_hold_and_no_clip_is_left_out(first, second, share):
    counts = cycle_counts([first, second], [share])
    parts = np.split(np.array(counts), [len(first)])
    assert parts[1].sum() / sum(counts) == pytest.approx(share, rel=0.06)
    epochs = [
        part.sum() / sum(n) for part, n in zip(parts, (first, second), strict=True)
    ]
    assert min(epochs) == pytest.approx(1, rel=0.06)
    assert len(counts) == len(first) + len(second) and min(counts) >= 1


def test_one_dataset_is_its_epoch():
    assert cycle_counts([[7, 1, 30]], []) == (7, 1, 30)


@pytest.mark.parametrize("shares", [(1.0,), (0.0,), (0.6, 0.4), (-0.1,)])
def test_impossible_shares_are_refused(shares):
    with pytest.raises(ConfigError, match=r"data\.mix"):
        cycle_counts([[1]] * (len(shares) + 1), shares)
