"""Frames of a clip's own seconds and its own crop, from its video or from its latent."""

import io
import os
import tarfile

import av
import numpy as np
import pytest
from PIL import Image

from data_pipelines.captioning import frames
from data_pipelines.captioning.frames import (
    evenly_spaced,
    frames_of_latents,
    frames_of_videos,
)
from data_pipelines.captioning.jpegs import jpeg
from data_pipelines.places import source_id
from data_pipelines.settings import IngestSettings
from data_pipelines.sources import find_sources
from videogen.core.errors import DataError
from videogen.data.records import LatentRow
from videogen.data.source import open_dataset


def row_of(path, start_s, *, id="c", fps=12.0):
    """A clip of 9 frames of 32 x 64 pixels."""
    return LatentRow(
        id=id,
        source_id=source_id(str(path)) if path else "gone",
        latent_FHWC=np.zeros((3, 4, 8, 4), np.float32),
        fps=fps,
        start_s=start_s,
        num_frames=9,
        height=32,
        width=64,
        label=-1,
    )


def lying(videos, **fields):
    return IngestSettings(videos=str(videos), **fields)


def refuse(rows):
    raise AssertionError(f"no frames of latents are wanted: {rows}")


def opened(jpeg):
    return np.asarray(Image.open(io.BytesIO(jpeg)), np.float32)


@pytest.mark.parametrize("count", [1, 3, 9, 20])
def test_evenly_spaced(count):
    chosen = evenly_spaced(count, 9).tolist()
    assert chosen == sorted(set(chosen)) and len(chosen) == min(count, 9)
    assert chosen[0] == 0 and (count == 1 or chosen[-1] == 8)


def test_a_still_image_is_a_film_of_one_second():
    still = frames.mp4_of([jpeg(np.zeros((30, 50, 3), np.uint8))], 0.0)
    with av.open(io.BytesIO(still)) as film:
        (frame,) = film.decode(video=0)
        assert film.duration / av.time_base == 1
    assert (frame.height, frame.width) == (30, 50)


def test_frames_of_the_video_are_those_of_the_clip(tmp_path, make_video):
    """A square moves 2 pixels a frame on red, then on green, at 24 frames a second."""
    path = make_video(tmp_path / "moved.mp4", [24, 24], height=64, width=128)
    rows = [
        row_of(path, 0.25, id="a"),
        row_of(path, 0.5, id="b"),
        row_of(path, 1.0, id="c"),
    ]
    found = list(frames_of_videos(lying(tmp_path), 3, refuse)(iter(rows)))
    assert [row.id for row, _ in found] == ["a", "b", "c"]
    for row, jpegs in found:
        images = [opened(jpeg) for jpeg in jpegs]
        assert [image.shape for image in images] == [
            (64, 128, 3)
        ] * 3  # finer than 32 x 64
        for image, second in zip(images, row.start_s + np.arange(3) / 3, strict=True):
            number = 24 * second
            bright = image.min(axis=2) > 180
            left = np.flatnonzero(bright.any(axis=0)).min()
            assert abs(left - 2 * number % 112) <= 2
            assert image.reshape(-1, 3).mean(axis=0).argmax() == int(second >= 1)


def test_a_video_in_a_tar_shows_the_same(tmp_path, make_video):
    path = make_video(tmp_path / "0.mp4", [24])
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        tar.add(path, "0.mp4")
    rows = [row_of(path, 0.25)]
    ((_, whole),) = frames_of_videos(lying(tmp_path), 2, refuse)(rows)
    path.unlink()
    ((_, in_tar),) = frames_of_videos(lying(tmp_path / "a.tar"), 2, refuse)(rows)
    assert in_tar == whole


@pytest.mark.parametrize("fps", [24.0, 12.0])
def test_images_of_a_record_are_frames_of_the_rate_that_is_said(tmp_path, prepare, fps):
    """Picture n is of the level 4 n."""
    record = {"film": [png(4 * number) for number in range(40)]}
    named = prepare(tmp_path, [record], split="test")
    videos = lying(named, frames_fps=fps, video_field="film", split="test")
    rows = [row_of(find_sources(videos)[0].path, 0.25)]
    ((_, jpegs),) = frames_of_videos(videos, 3, refuse)(rows)
    seconds = 0.25 + np.arange(3) / 3
    levels = [opened(jpeg).mean() for jpeg in jpegs]
    np.testing.assert_allclose(levels, 4 * fps * seconds, atol=1)


def png(level):
    file = io.BytesIO()
    Image.new("RGB", (96, 64), (level,) * 3).save(file, "PNG")
    return file.getvalue()


def test_large_videos_are_scaled_down(tmp_path, make_video):
    path = make_video(tmp_path / "large.mp4", [12], height=512, width=1024)
    ((_, jpegs),) = frames_of_videos(lying(tmp_path), 1, refuse)([row_of(path, 0.0)])
    assert opened(jpegs[0]).shape == (384, 768, 3)


def test_a_clip_whose_video_is_gone_is_seen_by_its_latent(tmp_path, make_video):
    path = make_video(tmp_path / "here.mp4", [24])

    def otherwise(rows):
        yield from ((row, [b"latent"]) for row in rows)

    rows = [row_of(None, 0.0), row_of(path, 0.0), row_of(None, 1.0)]
    found = [
        jpegs for _, jpegs in frames_of_videos(lying(tmp_path), 2, otherwise)(rows)
    ]
    assert found[0] == found[2] == [b"latent"] and len(found[1]) == 2


def die(look):
    os._exit(3)
    yield


def test_a_video_that_kills_its_reader_is_named(tmp_path, make_video, monkeypatch):
    path = make_video(tmp_path / "evil.mp4", [24])
    monkeypatch.setattr(frames, "read_jpegs", die)
    with pytest.raises(DataError, match="evil.mp4: the process ended by exit code 3"):
        list(frames_of_videos(lying(tmp_path), 2, refuse)([row_of(path, 0.5)]))


def test_pipes_are_passed_over_and_long_videos_read_in_parts(
    tmp_path, make_video, monkeypatch
):
    os.mkfifo(tmp_path / "a.mp4")
    path = make_video(tmp_path / "b.mp4", [48])
    rows = [row_of(path, second / 8, id=str(second)) for second in range(5)]
    whole = list(frames_of_videos(lying(tmp_path), 2, refuse)(rows))
    monkeypatch.setattr(frames, "MOST_CLIPS", 2)
    assert list(frames_of_videos(lying(tmp_path), 2, refuse)(rows)) == whole
    assert [row.id for row, _ in whole] == list("01234")


def test_a_video_that_ends_early_is_named(tmp_path, make_video):
    path = make_video(tmp_path / "short.mp4", [24])
    read = frames_of_videos(lying(tmp_path), 2, refuse)
    with pytest.raises(
        DataError, match=r"short.mp4: it ends before 1.17 s.*leave --videos"
    ):
        list(read([row_of(path, 0.5)]))


def test_frames_of_latents_show_the_clip(finished):
    dataset = open_dataset(finished)
    rows = [dataset.sources("train")[0][i].latent for i in range(2)]
    for row, jpegs in frames_of_latents(dataset, 4)(rows):
        images = [opened(jpeg) for jpeg in jpegs]
        assert [image.shape for image in images] == [(row.height, row.width, 3)] * 4
        assert (np.stack(images) > 128).any()
        assert np.abs(images[0] - images[-1]).mean() > 1  # waves move
