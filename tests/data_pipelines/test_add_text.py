"""A further text version: row by row the encoder's, and nothing else of the dataset changes."""

import dataclasses
import hashlib
import shutil

import numpy as np
import pytest
import tensorflow_datasets as tfds

from data_pipelines.__main__ import BAD_INPUT, main
from data_pipelines.add_text import ShardEmbedder, add_text, check
from data_pipelines.alone import alone
from data_pipelines.synthetic import write_synthetic
from data_pipelines.text import embed
from data_pipelines.text_settings import TextSettings
from videogen.core.errors import ConfigError, DataError
from videogen.data.null_text import load_null_text
from videogen.data.source import open_dataset
from videogen.text import make_encoder

# Beam's own; nothing of ours is hidden.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning:apache_beam.*"),
    pytest.mark.filterwarnings("ignore::FutureWarning:apache_beam.*"),
    pytest.mark.filterwarnings("ignore:label:DeprecationWarning"),  # of TFDS
]


def digests(directory):
    files = [path for path in directory.rglob("*") if path.is_file()]
    return {
        str(path.relative_to(directory)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
    }


def test_every_caption_by_the_other_encoder(tmp_path):
    write_synthetic(
        tmp_path,
        num_records=5,
        num_validation=3,
        latent_shape=(1, 2, 2, 4),
        more_shapes=[(1, 3, 2, 4)],
        text_dim=6,
    )
    before = digests(tmp_path)
    settings = TextSettings(
        dataset=str(tmp_path), version="v1-b", text_encoder="hash", text_length=3
    )
    info = add_text(settings)
    encoder = make_encoder("hash", 3)
    assert list(info.text) == ["v1", "v1-b"]
    assert info.text["v1-b"].fingerprint == encoder.fingerprint
    assert open_dataset(tmp_path).info.captions_of("v1-b") == "v1"
    null_LD = load_null_text(tmp_path, "v1-b", info.text["v1-b"].null_crc32)
    np.testing.assert_array_equal(null_LD, embed(encoder, [""])[0])
    dataset = open_dataset(tmp_path)
    more = {"text2": "v1-b"}
    for split in ("train", "validation"):
        for source in dataset.sources(split, captions="v1", text="v1", more_text=more):
            clips = [source[row] for row in range(len(source))]
            want = embed(encoder, [clip.caption for clip in clips])
            for clip, text_LD in zip(clips, want, strict=True):
                np.testing.assert_allclose(
                    clip.more_text["text2"], text_LD, atol=0.02
                )  # bfloat16
                assert clip.text_LD.shape[1] == 6
    after = digests(tmp_path)
    changed = {name for name in before if after[name] != before[name]}
    assert {name.rpartition("/")[2] for name in changed} == {
        "dataset.json",
        "manifest.json",
    }
    new = {name for name in after.keys() - before.keys() if name != ".captions/.lock"}
    assert all("v1-b" in name for name in new)
    for source in dataset.sources("train", text="v1-b"):
        built = tfds.builder_from_directory(tmp_path / source.bucket.name / "text-v1-b")
        read = [row["text"].tobytes() for row in built.as_data_source("train")]
        assert read == [source[row].text_LD.tobytes() for row in range(len(source))]
    with pytest.raises(ConfigError, match="--version=v1-b: .* has it already, by hash"):
        add_text(settings)
    flags = [str(tmp_path), "--version=c", "--text-encoder=hash"]
    assert main(["add-text", *flags, "--captions=v7"]) == BAD_INPUT


def test_captions_of_that_name_are_not_passed_over(tmp_path):
    sizes = {"num_records": 2, "num_validation": 0, "latent_shape": (1, 2, 2, 4)}
    write_synthetic(tmp_path, **sizes)
    info = open_dataset(tmp_path).info
    info = dataclasses.replace(info, captions=("v1", "v2"))
    settings = TextSettings(dataset="x", version="v2", text_encoder="hash")
    with pytest.raises(ConfigError, match="v2 of x are captions too: --captions=v2"):
        check(settings, info)
    check(dataclasses.replace(settings, captions="v2"), info)


def test_a_killed_run_goes_on_or_is_begun_by_another_encoder(tmp_path, monkeypatch):
    sizes = {"num_records": 9, "num_validation": 3, "latent_shape": (1, 2, 2, 4)}
    write_synthetic(tmp_path, **sizes)
    before, embedded = digests(tmp_path), []
    real = ShardEmbedder._rows

    def rows(self, part):
        embedded.append(part.index)
        yield from real(self, part)

    def killed(*arguments):
        raise DataError("killed")

    monkeypatch.setattr(ShardEmbedder, "_rows", rows)
    settings = TextSettings(dataset=str(tmp_path), version="b", text_encoder="hash")
    with monkeypatch.context() as patch, pytest.raises(DataError, match="killed"):
        patch.setattr("data_pipelines.adding.publish", killed)
        add_text(settings)
    now = digests(tmp_path)
    assert {name for name in now if before.get(name) != now[name]} == {
        name for name in now if name.startswith(".captions/")
    }
    done = len(embedded)
    with monkeypatch.context() as patch, pytest.raises(DataError, match="killed"):
        patch.setattr("data_pipelines.publish.write_dataset", killed)
        add_text(settings)
    assert len(embedded) == done > 1
    shorter = dataclasses.replace(settings, text_length=2)
    with monkeypatch.context() as patch, pytest.raises(DataError, match="killed"):
        patch.setattr("data_pipelines.publish.write_null_text", killed)
        add_text(shorter)
    assert len(embedded) == 2 * done and list(open_dataset(tmp_path).info.text) == [
        "v1"
    ]
    assert add_text(settings).text["b"].length == 32
    (source,) = open_dataset(tmp_path).sources("validation", text="b")
    assert source[0].text_LD is not None
    assert sorted(path.name for path in (tmp_path / ".captions").iterdir()) == [".lock"]


def test_workers_change_nothing(tmp_path):
    one, many = tmp_path / "one" / "set", tmp_path / "many" / "set"
    sizes = {"num_records": 12, "num_validation": 4, "latent_shape": (1, 2, 2, 4)}
    write_synthetic(one, num_shards=4, **sizes)
    shutil.copytree(one, many)
    workers = ("--direct_num_workers=4", "--direct_running_mode=multi_threading")
    flags = ("--version=b", "--text-encoder=hash")
    assert main(["add-text", str(one), *flags]) == 0
    assert main(["add-text", str(many), *flags, "--", *workers]) == 0
    assert set(open_dataset(one).info.text) == {"v1", "b"}
    assert digests(one) == digests(many)


def test_one_process_at_a_time(tmp_path):
    sizes = {"num_records": 2, "num_validation": 0, "latent_shape": (1, 2, 2, 4)}
    write_synthetic(tmp_path, **sizes)
    settings = TextSettings(dataset=str(tmp_path), version="b", text_encoder="hash")
    with alone(tmp_path), pytest.raises(ConfigError, match="by another process"):
        add_text(settings)
    assert set(add_text(settings).text) == {"v1", "b"}


@pytest.mark.parametrize("version", ["", "a/b", "..", "-a"])
def test_names_that_are_no_file(version):
    with pytest.raises(ConfigError, match="letters, digits"):
        TextSettings(dataset="x", version=version, text_encoder="hash")
