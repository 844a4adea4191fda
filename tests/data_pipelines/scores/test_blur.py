"""Sharp beats blurred, and one blurred frame does not count."""

import cv2
import pytest

from data_pipelines.scores.blur import Blur


def test_sharp_beats_blurred(score, moving):
    sharp = moving(2)
    blurred = [cv2.GaussianBlur(image, (9, 9), 0) for image in sharp]
    one_blurred = [*sharp[:-1], blurred[-1]]
    values = [score(Blur(), s)["blur"] for s in (sharp, one_blurred, blurred)]
    assert values[0] == pytest.approx(values[1], rel=0.1)
    assert values[2] < values[0] / 2
