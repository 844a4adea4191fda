"""Files that are not what they say: always a code or a clip, never a crash or a hang."""

import fractions
import functools
import os
import pathlib

import av
import numpy as np
import pytest

from data_pipelines.cut import Cutter, watch_source
from data_pipelines.decode import open_video
from data_pipelines.guard import Guard, Limits, as_it_is, end_idle, messages
from data_pipelines.inputs.base import Source
from data_pipelines.measure import score_source
from data_pipelines.probe import probe
from data_pipelines.quarantine import RETRYABLE
from data_pipelines.settings import IngestSettings, ScoreSettings, ShotsSettings
from data_pipelines.sources import find_sources, listing_sha256

SHOTS = ShotsSettings(min_seconds=0.3, max_seconds=1.0)
WATCH, CUT = functools.partial(watch_source, settings=SHOTS), Cutter(SHOTS)
SCORE = functools.partial(score_source, settings=ScoreSettings())


def here(work, item, finish=as_it_is):
    """What a guard would say, in this process."""
    *rows, ended = messages(lambda item: finish(item, work(item)), item)
    return ended or {"rows": [message["row"] for message in rows]}


def through(path, call=here):
    """The clips of a file with their scores, or its code: what the phases do to it."""
    source = Source(name=path.name, path=str(path), sidecar=None)
    found = call(probe, source)
    if "rows" in found:
        found = call(WATCH, found["rows"][0], CUT)
    if "rows" in found:
        found = call(SCORE, (str(path), found["rows"][0]["clips"]))
    return found


def code(path):
    found = through(path)
    assert "rows" not in found, found
    assert found["code"] not in RETRYABLE, found
    return found["code"]


def coded(path, images, rate=24, codec="libx264", times=None, format="yuv420p"):
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate)
        stream.height, stream.width = images[0].shape[:2]
        stream.pix_fmt = format
        if times is not None:
            stream.codec_context.time_base = stream.time_base = fractions.Fraction(
                1, 1000
            )
        for number, image in enumerate(images):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            if times is not None:
                frame.pts, frame.time_base = times[number], stream.time_base
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def pictures(count, height=64, width=96):
    rng = np.random.default_rng(1)
    wide = np.kron(
        rng.integers(0, 256, (height // 8, width // 4, 3), np.uint8),
        np.ones((8, 8, 1), np.uint8),
    )
    return [np.ascontiguousarray(wide[:, n : n + width]) for n in range(count)]


def test_junk_renamed(tmp_path):
    path = tmp_path / "a.mp4"
    for content in (b"", b"\0" * 5000, b"a film about nothing\n" * 200):
        path.write_bytes(content)
        assert code(path) == "UNREADABLE"
    path.write_bytes(np.random.default_rng(0).bytes(20000))
    assert code(path) in (
        "UNREADABLE",
        "NO_VIDEO_STREAM",
        "DECODE_ERROR",
        "ZERO_FRAMES",
    )


def test_a_folder_that_looks_like_a_video(tmp_path):
    (tmp_path / "a.mp4").mkdir()
    assert code(tmp_path / "a.mp4") == "UNREADABLE"


def test_a_name_that_is_not_utf8(tmp_path, make_video):
    """Old systems wrote them; Python has them with half characters in place of bytes."""
    path = tmp_path / os.fsdecode(b"caf\xe9.mp4")
    make_video(tmp_path / "a.mp4", [20]).rename(path)
    (source,) = find_sources(IngestSettings(videos=os.path.relpath(tmp_path)))
    assert source.path == str(path.resolve())
    assert listing_sha256((source,))
    assert code(pathlib.Path(source.path)) == "BAD_NAME"


def test_a_header_without_frames(tmp_path):
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=24)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        container.start_encoding()
    assert code(path) in ("ZERO_FRAMES", "UNREADABLE", "NO_VIDEO_STREAM")


@pytest.mark.parametrize("codec", ["libsvtav1", "libvpx-vp9", "libx265", "mpeg4"])
def test_every_common_codec_decodes(tmp_path, codec):
    if codec not in av.codecs_available:
        pytest.skip(f"no {codec} in PyAV")
    found = through(coded(tmp_path / "a.mkv", pictures(24, 128, 192), codec=codec))
    assert len(found["rows"]) == 1
    assert found["rows"][0]["motion"] > 0


def test_a_variable_rate(tmp_path):
    times = np.cumsum(np.random.default_rng(0).integers(20, 90, 60)).tolist()
    path = coded(tmp_path / "a.mkv", pictures(60), times=times)
    with open_video(str(path)) as video:
        shown = [round(frame.time * 1000) for frame in video.frames()]
    assert np.ptp(np.diff(shown)) > 30
    assert through(path)["rows"]


def test_times_that_do_not_rise(tmp_path):
    """Two streams one after the other, each from 0: as some recorders write them."""
    path = coded(tmp_path / "a.ts", pictures(20), codec="mpeg2video")
    path.write_bytes(path.read_bytes() * 2)
    found = through(path)
    assert "rows" in found or found["code"] not in RETRYABLE


def test_a_single_frame(tmp_path):
    (row,) = through(coded(tmp_path / "a.mp4", pictures(1)))["rows"]
    assert row["motion"] is None and row["blur"] > 0


def test_sound_alone(sound_alone):
    assert code(sound_alone) == "NO_VIDEO_STREAM"


def test_a_huge_declared_size(tmp_path):
    """A PNG that claims 60000 x 60000 pixels and holds almost nothing."""
    path = coded(tmp_path / "a.png", pictures(1), codec="png", format="rgb24")
    data = bytearray(path.read_bytes())
    data[16:24] = (60000).to_bytes(4, "big") * 2
    path.write_bytes(data)
    assert code(path) in ("TOO_LARGE", "UNREADABLE", "DECODE_ERROR", "ZERO_FRAMES")


def test_truncated_anywhere(tmp_path, make_video):
    path = make_video(tmp_path / "a.mp4", [60])
    whole = path.read_bytes()
    for tenth in range(1, 10):
        path.write_bytes(whole[: len(whole) * tenth // 10])
        assert code(path) in (
            *("UNREADABLE", "NO_VIDEO_STREAM", "TRUNCATED", "DECODE_ERROR"),
            "ZERO_FRAMES",
        )


def corrupted(data, seed):
    """Bits flipped, a run overwritten, a part cut out or doubled."""
    rng = np.random.default_rng(seed)
    data = bytearray(data)
    first = int(rng.integers(len(data)))
    length = int(rng.integers(1, 400))
    match seed % 4:
        case 0:
            for place in rng.integers(0, len(data), 20):
                data[place] ^= 1 << int(rng.integers(8))
        case 1:
            data[first : first + length] = rng.bytes(length)
        case 2:
            del data[first : first + length]
        case 3:
            data[first:first] = data[first : first + length]
    return bytes(data)


def test_random_corruption(tmp_path, make_video):
    """In a guarded process: what no other test thought of shows there as a code."""
    path = make_video(
        tmp_path / "a.mp4", [30], container_options={"movflags": "faststart"}
    )
    whole = path.read_bytes()
    guarded = Guard(Limits(timeout_s=20, memory_gib=4, retries=0))
    codes = []
    for seed in range(200):
        path.write_bytes(corrupted(whole, seed))
        codes.append(through(path, guarded).get("code", "good"))
    guarded.close()
    end_idle()
    # An absurd size in a header is, to FFmpeg, too little memory.
    assert not {"CRASH", "TIMEOUT"} & set(codes), codes
    assert len(set(codes)) > 1
