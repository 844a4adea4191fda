"""Resampling by timestamps, cutting inside shots, holding out: pure functions."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_pipelines.clips import SLACK_S, TRIM, Clip, clip_id, cut, hold_out, resample

NTSC = 30000 / 1001


def times(count, fps):
    return np.arange(count) / fps


@pytest.mark.parametrize("fps", [12.0, 24.0, 25.0, NTSC, 60.0])
def test_the_own_rate_keeps_each_frame_once(fps):
    rounded = np.round(times(200, fps), 3)  # as Matroska does
    np.testing.assert_array_equal(resample(rounded, fps), np.arange(200))


@given(
    source=st.sampled_from([24.0, 25.0, NTSC, 50.0, 59.94]),
    fps=st.sampled_from([8.0, 12.0, 16.0, 24.0]),
    count=st.integers(1, 300),
)
def test_resampled_frames_are_the_nearest_and_rise(source, fps, count):
    times_s = times(count, source)
    chosen = resample(times_s, fps)
    assert (np.diff(chosen) > 0).all()
    grid_s = np.arange(len(chosen)) / fps
    assert np.abs(times_s[chosen] - grid_s).max() <= 0.5 / source + SLACK_S
    assert len(chosen) == pytest.approx(times_s[-1] * fps + 1, abs=1)


@given(
    shots=st.lists(st.integers(1, 60), min_size=1, max_size=6),
    stride=st.integers(1, 20),
)
def test_clips_stay_inside_trimmed_shots(shots, stride):
    ends = np.cumsum(shots)
    bounds = [(int(e - n), int(e)) for n, e in zip(shots, ends, strict=True)]
    times_s = times(int(ends[-1]), 24.0)
    found = cut(times_s, bounds, num_frames=9, stride=stride, fps=24.0)
    for frames in found:
        assert any(
            first + TRIM <= frames[0] and frames[-1] < end - TRIM
            for first, end in bounds
        )
        assert frames == tuple(range(frames[0], frames[0] + 9))
    expected = sum(max(0, (n - 2 * TRIM - 9) // stride + 1) for n in shots)
    assert len(found) == expected
    assert found == sorted(found)


def a_clip(frames):
    return Clip(
        id=str(frames[0]),
        source_id="s",
        path="p",
        frames=tuple(frames),
        start_s=0.0,
        caption=None,
        label=-1,
    )


@given(count=st.integers(1, 40), length=st.integers(1, 17), stride=st.integers(1, 20))
def test_no_train_clip_shares_a_frame_with_the_held_out_one(count, length, stride):
    clips = [a_clip(range(i * stride, i * stride + length)) for i in range(count)]
    train, validation = hold_out(clips)
    assert validation == [clips[-1]]
    held_out = set(clips[-1].frames)
    assert all(held_out.isdisjoint(clip.frames) for clip in train)
    others = [clip for clip in clips[:-1] if held_out.isdisjoint(clip.frames)]
    assert train == others


def test_ids_tell_clips_apart():
    facts = [
        ("a", (0, 1), 24.0, 64, 96),
        ("b", (0, 1), 24.0, 64, 96),
        ("a", (1, 2), 24.0, 64, 96),
        ("a", (0, 1), 12.0, 64, 96),
        ("a", (0, 1), 24.0, 64, 104),
    ]
    ids = [clip_id(*each) for each in facts]
    assert len(set(ids)) == len(ids)
    assert clip_id("a", (0, 1), 24, 64, 96) == ids[0]
    assert all(len(each) == 16 for each in ids)
