"""Frames and geometry of sound videos; a code for each kind of damage."""

import errno
import types

import av
import numpy as np
import pytest

from data_pipelines import decode
from data_pipelines.decode import CentreCrop, open_video
from data_pipelines.quarantine import RETRYABLE, Reject


def decoded(path):
    with open_video(str(path)) as video:
        return list(video.frames())


def code_of(path):
    with pytest.raises(Reject) as caught:
        decoded(path)
    return caught.value.code


def test_every_frame_comes_with_its_time(tmp_path, make_video):
    frames = decoded(make_video(tmp_path / "a.mp4", [30], fps=25))
    np.testing.assert_allclose([f.time for f in frames], np.arange(30) / 25, atol=1e-6)


@pytest.mark.parametrize("name, codec", [("a.avi", "mpeg4"), ("a.mkv", "libx264")])
def test_other_containers(tmp_path, make_video, name, codec):
    assert len(decoded(make_video(tmp_path / name, [30], codec=codec))) == 30


def test_no_bytes_no_video_no_file(tmp_path):
    empty, text = tmp_path / "empty.mp4", tmp_path / "text.mp4"
    empty.write_bytes(b"")
    text.write_text("a film about nothing\n" * 100)
    for path in (empty, text):
        assert code_of(path) == "UNREADABLE"
    assert code_of(tmp_path / "missing.mp4") == "IO"


def test_a_file_that_goes_while_it_is_read_is_not_to_blame(tmp_path, make_video):
    options = {"movflags": "faststart"}
    path = make_video(tmp_path / "a.mp4", [120], container_options=options)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    with pytest.raises(Reject) as caught, open_video(str(path)) as video:
        path.unlink()
        list(video.frames())
    assert caught.value.code == "IO" and "IO" in RETRYABLE


def test_sound_alone(sound_alone):
    assert code_of(sound_alone) == "NO_VIDEO_STREAM"


def test_truncated_files(tmp_path, make_video):
    """The index at the end: lost. At the front: it declares more than there is."""
    at_end = make_video(tmp_path / "end.mp4", [120])
    options = {"movflags": "faststart"}
    at_front = make_video(tmp_path / "a.mp4", [120], container_options=options)
    for path in (at_end, at_front):
        path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    assert code_of(at_end) == "UNREADABLE"
    assert code_of(at_front) in ("TRUNCATED", "DECODE_ERROR")


def test_overwritten_middle(tmp_path, make_video):
    path = make_video(tmp_path / "a.mp4", [60, 60])
    data = bytearray(path.read_bytes())
    rng = np.random.default_rng(0)
    middle = slice(len(data) // 4, len(data) // 2)
    data[middle] = rng.bytes(len(data[middle]))
    path.write_bytes(data)
    assert code_of(path) in ("DECODE_ERROR", "TRUNCATED", "UNREADABLE")


def test_limits(tmp_path, make_video, monkeypatch):
    path = make_video(tmp_path / "a.mp4", [10])
    monkeypatch.setattr(decode, "MAX_FRAMES", 9)
    assert code_of(path) == "TOO_LARGE"
    monkeypatch.setattr(decode, "MAX_PIXELS", 100)
    assert code_of(path) == "TOO_LARGE"


@pytest.mark.parametrize("size", [(64, 96), (48, 48), (32, 96)])
def test_crop_keeps_the_aspect_and_the_centre(size):
    """A circle around the middle stays one, whatever the crop."""
    rows, columns = np.mgrid[:128, :192]
    circle = (rows - 63.5) ** 2 + (columns - 95.5) ** 2 < 30**2
    image = np.repeat(circle[..., None] * np.uint8(255), 3, axis=2)
    frame = av.VideoFrame.from_ndarray(image, format="rgb24")
    height, width = size
    cropped = CentreCrop(height, width)(frame, 1.0)
    assert cropped.shape == (height, width, 3)
    assert cropped.dtype == np.uint8
    rows, columns = np.nonzero(cropped[..., 0] > 127)
    assert rows.mean() == pytest.approx((height - 1) / 2, abs=0.6)
    assert columns.mean() == pytest.approx((width - 1) / 2, abs=0.6)
    assert np.ptp(rows) == pytest.approx(np.ptp(columns), abs=1)


def test_wide_pixels_are_made_square():
    """Pixels twice as wide as high: the circle is stored as half an ellipse."""
    rows, columns = np.mgrid[:64, :64]
    ellipse = (rows - 31.5) ** 2 + (2 * (columns - 31.5)) ** 2 < 24**2
    image = np.repeat(ellipse[..., None] * np.uint8(255), 3, axis=2)
    frame = av.VideoFrame.from_ndarray(image, format="rgb24")
    rows, columns = np.nonzero(CentreCrop(64, 64)(frame, 2.0)[..., 0] > 127)
    assert np.ptp(rows) == pytest.approx(np.ptp(columns), abs=2)


class Exhausted:
    """A container for which there is no memory left."""

    streams = types.SimpleNamespace(
        video=[types.SimpleNamespace(sample_aspect_ratio=None, frames=0)]
    )

    def demux(self, *_):
        raise av.error.MemoryError(errno.ENOMEM, "Cannot allocate memory")


def test_too_little_memory_is_no_verdict_on_the_file(tmp_path, monkeypatch):
    with pytest.raises(MemoryError):
        list(decode.Video(Exhausted(), "a.mp4").frames())
    monkeypatch.setattr(av, "open", Exhausted().demux)
    with pytest.raises(MemoryError):
        decoded(tmp_path / "a.mp4")
