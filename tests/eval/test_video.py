"""Videos survive a round trip, play in browsers, and contact sheets show them."""

import tempfile
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from videogen.core.errors import DataError
from videogen.eval import video


def ramp(num_frames=8, height=16, width=24):
    """A smooth clip that brightens: H.264 should keep it to a few grey levels."""
    t = np.linspace(0, 100, num_frames)[:, None, None, None]
    x = np.linspace(20, 120, width)[None, None, :, None]
    return np.broadcast_to(t + x, (num_frames, height, width, 3)).astype(np.uint8)


def test_round_trip_keeps_frames_rate_and_colour(tmp_path):
    path = tmp_path / "a.mp4"
    video.write_mp4(path, ramp(), fps=8.0)
    frames, fps = video.read_mp4(path)
    assert frames.shape == ramp().shape and fps == 8
    assert np.abs(frames.astype(int) - ramp()).mean() < 3


def test_the_same_frames_are_the_same_bytes(tmp_path):
    """Whatever was encoded before: x264 at its defaults reads memory that others left."""
    rng, path = np.random.default_rng(0), tmp_path / "a.mp4"
    blocks = rng.integers(0, 255, (9, 8, 8, 3)).repeat(8, 1).repeat(8, 2)
    frames = np.clip(blocks + rng.normal(0, 8, blocks.shape), 0, 255).astype(np.uint8)
    seen = set()
    for _ in range(10):
        left = [rng.bytes(size) for size in rng.integers(100, 2_000_000, 20)]
        del left
        noise = rng.integers(0, 255, (9, 96, 160, 3), dtype=np.uint8)
        video.write_mp4(tmp_path / "noise.mp4", noise, fps=8.0)
        video.write_mp4(path, frames, fps=8.0)
        seen.add(path.read_bytes())
    assert len(seen) == 1


@settings(max_examples=12, deadline=None)
@given(st.integers(1, 5), st.integers(1, 19), st.integers(1, 19), st.integers(1, 3))
def test_any_size_becomes_even_and_no_frame_is_lost(num_frames, height, width, scale):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.mp4"
        video.write_mp4(path, ramp(num_frames, height, width), fps=8.0, scale=scale)
        shape = video.read_mp4(path)[0].shape
    even = [size * scale + size * scale % 2 for size in (height, width)]
    assert shape == (num_frames, *even, 3)


def test_a_browser_can_play_it(tmp_path):
    path = tmp_path / "a.mp4"
    video.write_mp4(path, ramp(), fps=23.976)
    data = path.read_bytes()
    assert 0 < data.index(b"moov") < data.index(b"mdat"), "the index must come first"
    with av.open(path) as container:
        stream = container.streams.video[0]
        assert stream.codec_context.name == "h264"
        assert stream.codec_context.pix_fmt == "yuv420p"
        assert float(stream.average_rate) == pytest.approx(23.976, abs=1e-3)


def test_no_partial_file_is_left_behind(tmp_path):
    with pytest.raises(ValueError, match=r"float64\[8, 16, 24, 3\]"):
        video.write_mp4(tmp_path / "a.mp4", ramp().astype(float), fps=8.0)
    with pytest.raises(IsADirectoryError):
        (tmp_path / "c.mp4").mkdir()
        video.write_mp4(tmp_path / "c.mp4", ramp(), fps=8.0)
    video.write_mp4(tmp_path / "b.mp4", ramp(), fps=8.0)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b.mp4", "c.mp4"]


def test_a_broken_file_is_named(tmp_path):
    path = tmp_path / "a.mp4"
    path.write_bytes(b"not a video")
    with pytest.raises(DataError, match=r"a\.mp4"):
        video.read_mp4(path)


def test_enlarge_repeats_pixels():
    frames = ramp(2, 3, 4)
    large = video.enlarge(frames, 3)
    assert large.shape == (2, 9, 12, 3)
    assert (large[:, 1::3, 1::3] == frames).all()


def test_contact_sheet_shows_first_and_last_frame_of_each_row():
    videos = [ramp(9), np.full((4, 16, 24, 3), 7, np.uint8)]
    sheet = np.asarray(video.contact_sheet(videos, ["a ramp", "dark"], columns=3))
    first = sheet[video.GAP : video.GAP + 16, video.GAP :]
    assert (first[:, :24] == videos[0][0]).all()
    last = 2 * (24 + video.GAP)
    assert (first[:, last : last + 24] == videos[0][8]).all()
    caption = sheet[video.GAP + 16 : video.GAP + 16 + video.CAPTION_HEIGHT]
    assert caption.min() < 100, "the caption is drawn"


def test_contact_sheet_takes_any_caption_and_mixed_sizes():
    videos = [ramp(1, 8, 8), ramp(3, 40, 64)]
    sheet = video.contact_sheet(videos, ["long " * 100, "caf\u00e9 \u4e2d\n!"])
    assert sheet.width >= 3 * 64
    with pytest.raises(ValueError, match="at least one"):
        video.contact_sheet([], [])


def test_a_sound_is_a_track_of_the_length_of_the_frames(tmp_path):
    time_s = np.arange(2 * 16000) / 16000
    tone = 0.5 * np.sin(2 * np.pi * 440 * time_s).astype(np.float32)
    path = tmp_path / "a.mp4"
    video.write_mp4(path, ramp(16), fps=8.0, sound_S=tone, sound_rate=16000)
    frames, fps = video.read_mp4(path)
    sound, rate = video.read_sound(path)
    assert (len(frames), fps, rate) == (16, 8.0, 16000)
    assert len(sound) / rate == pytest.approx(2, abs=2 * 1024 / rate)
    middle = sound[8000:24000]
    spectrum = np.abs(np.fft.rfft(middle))
    assert spectrum.argmax() * rate / len(middle) == pytest.approx(440, abs=2)
    video.write_mp4(path, ramp(16), fps=8.0)
    with pytest.raises(DataError, match="no sound"):
        video.read_sound(path)
