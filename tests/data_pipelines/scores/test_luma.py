"""Brightness is the level, dark and bright its extremes."""

import numpy as np
import pytest

from data_pipelines.scores.luma import Luma


@pytest.mark.parametrize(
    "level, dark, bright", [(0, 1, 0), (15, 1, 0), (128, 0, 0), (255, 0, 1)]
)
def test_luma_is_the_level(score, level, dark, bright):
    found = score(Luma(), [np.full((64, 96), level)] * 8)
    assert found["luma"] == pytest.approx(level, abs=1.5)
    assert (found["dark"], found["bright"]) == (dark, bright)
