"""The frames of a clip are those nearest in time, inside of its shot."""

import fractions
import types
import weakref

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_pipelines.clips import Clip
from data_pipelines.decode import CentreCrop
from data_pipelines.frames import Frame, Taking


class NumberedFrame:
    """A frame whose picture is its number."""

    def __init__(self, number, time_s):
        self.number, self.time_s = number, time_s

    def cropped(self, crop):
        return np.full((1, 1, 3), self.number, np.int64)


def taken(times_s, clip, num_frames, fps):
    taking = Taking(clip, num_frames, fps)
    before = None
    for number, time_s in enumerate(times_s):
        frame = NumberedFrame(number, time_s)
        if number >= clip.first_frame and not taking.whole:
            taking.feed(frame, before, None)
        before = frame
    assert taking.whole
    return taking.levels_THWC()[:, 0, 0, 0].tolist()


def clip(start_s=0.0, first=0, last=199):
    return Clip(
        id="c",
        source_id="s",
        path="p",
        start_s=start_s,
        first_frame=first,
        last_frame=last,
        captions=(),
        label=-1,
    )


@pytest.mark.parametrize("fps", [12.0, 24.0, 25.0, 30000 / 1001, 60.0])
def test_the_own_rate_keeps_each_frame_once(fps):
    times_s = np.round(np.arange(200) / fps, 3)  # as Matroska does
    for first in (0, 7):
        found = taken(times_s, clip(start_s=first / fps, first=first), 33, fps)
        assert found == list(range(first, first + 33))


@given(
    source=st.sampled_from([24.0, 25.0, 30000 / 1001, 50.0, 59.94]),
    fps=st.sampled_from([8.0, 12.0, 16.0, 24.0]),
    first=st.integers(0, 40),
)
def test_frames_are_the_nearest_and_rise(source, fps, first):
    times_s = np.arange(200) / source
    start_s = first / source
    found = taken(times_s, clip(start_s=start_s, first=first), 9, fps)
    assert (np.diff(found) > 0).all()
    wanted_s = start_s + np.arange(9) / fps
    assert np.abs(times_s[found] - wanted_s).max() <= 0.5 / source + 1e-6


@given(
    steps=st.lists(st.floats(0.01, 0.06), min_size=150, max_size=150),
    first=st.integers(0, 20),
)
def test_any_timestamps_will_do(steps, first):
    """Variable rates: the nearest of the clip's frames, the earlier of two."""
    times_s = np.cumsum(steps)
    last = first + 40
    found = taken(times_s, clip(float(times_s[first]), first, last), 9, 24.0)
    inside = times_s[first : last + 1]
    for index, number in enumerate(found):
        assert first <= number <= last
        wanted_s = times_s[first] + index / 24.0
        nearest_s = np.abs(inside - wanted_s).min()
        assert abs(times_s[number] - wanted_s) == pytest.approx(nearest_s, abs=2e-6)


def test_no_frame_is_taken_from_beyond_the_cut():
    times_s = np.arange(60) / 24
    found = taken(times_s, clip(10 / 24, 10, 17), 9, 24.0)
    assert found == [*range(10, 18), 17]
    found = taken(times_s, clip(9.6 / 24, 10, 30), 9, 24.0)
    assert found[0] == 10


def test_a_frame_is_freed_as_soon_as_it_is_let_go():
    """A hundred frames of 4K that wait for the garbage collector are a gigabyte."""
    decoded = av.VideoFrame(16, 8, "rgb24")
    decoded.pts, decoded.time_base = 24, fractions.Fraction(1, 24)
    frame = Frame(decoded, 0, 0.5, types.SimpleNamespace(pixel_aspect=1.0))
    assert frame.time_s == 0.5
    crop = CentreCrop(4, 8)
    assert frame.cropped(crop) is frame.cropped(crop)
    assert frame.cropped(CentreCrop(8, 8)).shape[:2] == (8, 8)
    gone = weakref.ref(frame)
    del frame
    assert gone() is None
