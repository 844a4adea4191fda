"""Every frame is judged once, with the frames around it; shots are what lies between."""

import numpy as np
import pytest

from data_pipelines.detectors.transnet.windows import (
    PAD,
    STEP,
    WINDOW,
    shots_of,
    windows,
)


@pytest.mark.parametrize(
    "count", [1, 2, 25, 49, 50, 51, 74, 75, 76, 100, 125, 149, 333]
)
def test_the_windows_are_the_whole(count):
    frames = np.arange(count)
    found = list(windows(iter(frames)))
    assert len(found) == -(-count // STEP)
    middles = [window[PAD : PAD + STEP][:own] for window, own in found]
    np.testing.assert_array_equal(np.concatenate(middles), frames)
    for number, (window, _) in enumerate(found):  # around them, what is around them
        wanted = np.arange(WINDOW) + number * STEP - PAD
        np.testing.assert_array_equal(window, np.clip(wanted, 0, count - 1))


def test_no_frames_no_windows():
    assert list(windows([])) == []


def test_a_shot_ends_with_the_first_frame_of_a_transition():
    assert shots("0001000") == [(0, 4), (4, 7)]
    assert shots("0001100") == [(0, 4), (5, 7)]  # frame 4 is of both
    assert shots("0000001") == [(0, 7)]
    assert shots("0000") == [(0, 4)]


def test_a_video_that_begins_or_ends_within_a_transition():
    assert shots("1100") == [(2, 4)]
    assert shots("0011") == [(0, 3)]
    assert shots("1001") == [(1, 4)]
    assert shots("111") == [(0, 3)]  # nothing else is known of it
    assert shots("1") == [(0, 1)]


def test_shots_hold_no_transition_but_in_their_last_frame():
    rng = np.random.default_rng(0)
    for chances_T in rng.random((200, 30)).astype(np.float32) ** 2:
        found = shots_of(chances_T, 0.5)
        ends = [0, *(number for shot in found for number in shot)]
        assert ends == sorted(ends)
        for first, end in found:
            assert first < end
            assert (chances_T[first : end - 1] <= 0.5).all() or (chances_T > 0.5).all()
        inside = {n for first, end in found for n in range(first, end)}
        outside = [n for n in range(30) if n not in inside]
        assert (chances_T[outside] > 0.5).all()


def shots(text):
    return shots_of(np.array([float(digit) for digit in text]), 0.5)
