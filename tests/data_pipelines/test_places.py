"""Bytes are the same wherever they lie: in a file, a tar, a record."""

import os
import pathlib
import tarfile

import av
import numpy as np
import pytest

from data_pipelines.decode import open_video
from data_pipelines.places import Field, File, Part, is_there, place, source_id
from data_pipelines.quarantine import Reject
from data_pipelines.sound import read_track
from videogen.core.errors import ConfigError
from videogen.data import example
from videogen.data.writer import write_shard


@pytest.fixture(scope="module")
def film(tmp_path_factory, make_video):
    """A video of three seconds, with a tone, and its index at the end."""
    silent = make_video(tmp_path_factory.mktemp("film") / "silent.mp4", [40, 32])
    path = silent.with_name("a.mp4")
    with av.open(str(silent)) as given, av.open(str(path), "w") as container:
        video = container.add_stream_from_template(given.streams.video[0])
        sound = container.add_stream("aac", rate=16000, layout="mono")
        for packet in given.demux(video=0):
            if packet.dts is not None:
                packet.stream = video
                container.mux(packet)
        wave = np.sin(np.arange(48000, dtype=np.float32) / 9)[None]
        frame = av.AudioFrame.from_ndarray(wave, format="fltp", layout="mono")
        frame.sample_rate = 16000
        container.mux(sound.encode(frame))
        container.mux(sound.encode())
    return path


@pytest.fixture(scope="module")
def everywhere(film, tmp_path_factory):
    """The places of the same video."""
    folder = tmp_path_factory.mktemp("everywhere")
    with tarfile.open(folder / "a:b.tar", "w") as tar:
        tar.add(pathlib.Path(__file__), "before.txt")
        tar.add(film, "a.mp4")
    with tarfile.open(folder / "a:b.tar") as tar:
        offset = tar.getmember("a.mp4").offset_data
    record = example.encode({"video": film.read_bytes(), "caption": b"a tone"})
    write_shard(folder / "shard", [example.encode({"video": b"-"}), record])
    part = Part(path=str(folder / "a:b.tar"), offset=offset, length=film.stat().st_size)
    path = str(folder / "shard")
    field = Field(path=path, row=1, rows=2, fps=24000 / 1001, name="video")
    return [str(film), str(part), str(field)]


def images(path):
    with open_video(path) as video:
        return [
            (f.time, f.to_ndarray(format="rgb24").tobytes()) for f in video.frames()
        ]


def test_a_text_means_what_was_written(everywhere):
    assert [type(place(text)) for text in everywhere] == [File, Part, Field]
    assert [str(place(text)) for text in everywhere[1:]] == everywhere[1:]


def test_everything_is_the_same_everywhere(everywhere):
    assert len({source_id(text) for text in everywhere}) == 1
    assert len({place(text).size() for text in everywhere}) == 1
    first, *others = (images(text) for text in everywhere)
    assert len(first) == 72
    assert all(other == first for other in others)
    first, *others = (read_track(text, 16000, 0.5, 2.0) for text in everywhere)
    assert np.abs(first.samples_S).max() > 0.5
    assert all(np.array_equal(other.samples_S, first.samples_S) for other in others)
    assert all(map(is_there, everywhere))


def test_a_part_is_read_like_a_file_of_its_own(tmp_path):
    content = np.random.default_rng(0).bytes(1000)
    (tmp_path / "a").write_bytes(content)
    (tmp_path / "b").write_bytes(content[200:700])
    random = np.random.default_rng(1)
    part = Part(path=str(tmp_path / "a"), offset=200, length=500)
    with part.opened() as ours, (tmp_path / "b").open("rb") as file:
        for _ in range(200):
            whence = int(random.integers(3))
            most = 600 if whence == os.SEEK_SET else 0
            offset = int(random.integers(most - 500, most + 1))
            if whence == os.SEEK_SET or file.tell() + offset >= 0:
                offset = abs(offset) if whence == os.SEEK_SET else offset
                offset = max(offset, -file.tell()) if whence == os.SEEK_CUR else offset
                assert ours.seek(offset, whence) == file.seek(offset, whence)
            size = int(random.integers(300))
            assert ours.read(size) == file.read(size)
            assert ours.tell() == file.tell()


def test_what_is_not_there_or_is_damaged_is_a_code(tmp_path):
    field = Field(path=str(tmp_path / "shard"), row=0, rows=1, fps=0.0, name="video")
    with pytest.raises(Reject) as caught, open_video(str(field)):
        pass
    assert caught.value.code == "IO"
    (tmp_path / "shard").write_bytes(b"no records" * 100)
    for call in (source_id, images):
        with pytest.raises(Reject) as caught:
            call(str(field))
        assert caught.value.code == "UNREADABLE"
    (tmp_path / "shard").unlink()
    write_shard(tmp_path / "shard", [example.encode({"video": 3})])
    with pytest.raises(Reject, match="holds no bytes"):
        source_id(str(field))


def test_images_without_a_rate_are_refused(tmp_path):
    write_shard(tmp_path / "shard", [example.encode({"video": [b"a", b"b"]})])
    field = Field(path=str(tmp_path / "shard"), row=0, rows=1, fps=0.0, name="video")
    with pytest.raises(ConfigError, match="--frames-fps=25"), field.opened():
        pass
