"""Cuts are found at their very frame."""

import pytest

from data_pipelines.decode import open_video
from data_pipelines.detectors import DETECTORS


def shots_of(path):
    kind = DETECTORS["content"]
    eye, judge = kind.eye(kind.threshold), kind.judge(None, kind.threshold)
    with open_video(str(path)) as video:
        return judge(map(eye, video.frames()))


@pytest.mark.parametrize("scenes", [[40], [30, 21, 40], [5, 40, 3, 40]])
def test_each_cut_is_found(tmp_path, make_video, scenes):
    ends = [sum(scenes[: i + 1]) for i in range(len(scenes))]
    found = shots_of(make_video(tmp_path / "a.mp4", scenes))
    assert found == list(zip([0, *ends[:-1]], ends, strict=True))
