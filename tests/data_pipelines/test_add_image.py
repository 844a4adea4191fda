"""Image tokens of a finished dataset: the encoder's, of the frames that were encoded."""

import dataclasses
import shutil

import numpy as np
import pytest
import tensorflow_datasets as tfds
from image_folders import write_vision

from data_pipelines.__main__ import BAD_INPUT, main
from data_pipelines.add_image import FrameEncoder, add_image
from data_pipelines.encode_settings import EncodeSettings
from data_pipelines.guard import Limits
from data_pipelines.image_settings import ImageSettings
from data_pipelines.pixels import read_levels
from data_pipelines.plan import make_plan
from data_pipelines.synthetic import write_synthetic
from data_pipelines.tables import Tables
from videogen.core.errors import ConfigError, DataError
from videogen.data.source import open_dataset
from videogen.image import make_encoder

# Beam's own; nothing of ours is hidden.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning:apache_beam.*"),
    pytest.mark.filterwarnings("ignore::FutureWarning:apache_beam.*"),
    pytest.mark.filterwarnings("ignore:label:DeprecationWarning"),  # of TFDS
]


@pytest.fixture(scope="module")
def made(tmp_path_factory, make_video, run_all):
    """(videos, a dataset of two buckets and several shards, an encoder's name)."""
    folder = tmp_path_factory.mktemp("made")
    videos = folder / "videos"
    videos.mkdir()
    for number in range(2):
        make_video(videos / f"{number}.mp4", [30, 20], first=9 * number)
    make_video(videos / "still.mp4", [1], first=5)
    encode = EncodeSettings(
        buckets="9x32x48,1x32x48", text_encoder="hash", shard_mib=0.011
    )
    run_all(videos, folder / "set", encode=encode)
    write_vision(folder / "clip")
    return videos, folder / "set", f"clip:{folder / 'clip'}"


@pytest.fixture
def dataset(made, tmp_path):
    return shutil.copytree(made[1], tmp_path / "set")


def settings_of(dataset, made, **changes):
    return ImageSettings(dataset=str(dataset), image_encoder=made[2], **changes)


def digests(directory):
    return {
        str(path.relative_to(directory)): path.read_bytes()
        for path in directory.rglob("*")
        if path.is_file()
    }


def test_every_clip_has_the_tokens_of_its_first_frame(made, dataset):
    """Frame 0 of what the encode phase read, and no latent changes."""
    before = digests(dataset)
    info = add_image(settings_of(dataset, made))
    encoder = make_encoder(made[2])
    assert dataclasses.asdict(info.image["v1"]) == {
        **{"name": "clip", "fingerprint": encoder.fingerprint},
        **{"length": 5, "dim": 16},
    }
    tables = Tables(dataset / "tables")
    encoded = EncodeSettings(**tables.need("encode").arguments)
    plan = make_plan(tables.read("ingest"), tables.read("shots"), encoded)
    first = {
        clip.id: levels_THWC[0]
        for shard in plan.shards
        for clip, levels_THWC in read_levels(
            shard.clips, shard.bucket.size, encoded.fps, Limits()
        )
    }
    opened, seen = open_dataset(dataset), 0
    assert len(plan.buckets) == 2 and len(plan.shards) == 4
    for split in ("train", "validation"):
        for source in opened.sources(split, image="v1"):
            for row in range(len(source)):
                clip = source[row]
                (want_LD,) = encoder.encode([first[clip.latent.id]])
                np.testing.assert_allclose(
                    clip.image_LD.astype(np.float32), want_LD, rtol=2**-7, atol=1e-2
                )
                seen += 1
    assert seen == info.counts["clips"]
    after = digests(dataset)
    changed = {
        name.rpartition("/")[2] for name in before if after[name] != before[name]
    }
    assert changed == {"dataset.json", "manifest.json"}
    bucket = next(iter(opened.manifests))
    built = tfds.builder_from_directory(dataset / bucket / "image-v1")
    (source, *_) = opened.sources("train", image="v1")
    read = [row["image"].tobytes() for row in built.as_data_source("train")]
    assert read == [source[row].image_LD.tobytes() for row in range(len(source))]


def test_again_it_stays_and_by_another_encoder_it_is_refused(made, dataset, tmp_path):
    add_image(settings_of(dataset, made))
    done = digests(dataset)
    add_image(settings_of(dataset, made))
    assert digests(dataset) == done
    write_vision(tmp_path / "other", "siglip")
    other = dataclasses.replace(
        settings_of(dataset, made), image_encoder=f"siglip:{tmp_path / 'other'}"
    )
    with pytest.raises(ConfigError, match="has it already, by clip .* another name"):
        add_image(other)
    assert set(add_image(dataclasses.replace(other, version="b")).image) == {"v1", "b"}


def test_a_killed_run_goes_on_and_ends_alike(made, dataset, tmp_path, monkeypatch):
    whole = shutil.copytree(dataset, tmp_path / "whole")
    add_image(settings_of(whole, made))
    read, real = [], FrameEncoder._rows

    def rows(self, part):
        if len(read) == 2:
            raise DataError("killed")
        read.append(part.index)
        yield from real(self, part)

    with monkeypatch.context() as patch, pytest.raises(DataError, match="killed"):
        patch.setattr(FrameEncoder, "_rows", rows)
        add_image(settings_of(dataset, made))
    assert not open_dataset(dataset).info.image and len(read) == 2
    monkeypatch.setattr(
        FrameEncoder, "_rows", lambda self, part: read.append(0) or real(self, part)
    )
    add_image(settings_of(dataset, made))
    shards = sum(1 for path in whole.rglob("image-v1-*"))
    assert len(read) == shards
    assert digests(dataset) == digests(whole)


def test_videos_that_moved_are_found_by_their_bytes(made, dataset, tmp_path):
    videos = tmp_path / "moved"
    shutil.copytree(made[0], videos)
    (videos / "0.mp4").rename(videos / "z.mp4")
    info = add_image(settings_of(dataset, made, videos=str(videos)))
    assert "v1" in info.image
    (videos / "z.mp4").unlink()
    gone = settings_of(dataset, made, videos=str(videos), version="b")
    with pytest.raises(
        DataError, match="0.mp4 is not there, of which .*--videos=..., "
    ):
        add_image(gone)


def test_what_it_was_not_encoded_from_is_refused(made, dataset, tmp_path, capsys):
    write_synthetic(
        tmp_path / "waves", num_records=2, num_validation=0, latent_shape=(1, 2, 2, 4)
    )
    with pytest.raises(ConfigError, match="was not encoded from videos here"):
        add_image(settings_of(tmp_path / "waves", made))
    tables = shutil.copytree(dataset / "tables", tmp_path / "tables")
    Tables(tables).remove("shots")
    flags = [str(dataset), f"--image-encoder={made[2]}", f"--tables={tables}"]
    assert main(["add-image", *flags]) == BAD_INPUT
    assert "shots.parquet: not there yet" in capsys.readouterr().err
    assert main(["add-image", str(dataset), "--image-encoder=clip"]) == BAD_INPUT
    assert "'clip:/path/of/it' would work" in capsys.readouterr().err
