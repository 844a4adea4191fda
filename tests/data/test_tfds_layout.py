"""TFDS opens our buckets and their sidecars, without TensorFlow, and reads what we read."""

import dataclasses
import itertools
import json
import shutil
import sys

import numpy as np
import pytest
import tensorflow_datasets as tfds

from videogen.data import records
from videogen.data.manifest import load_manifest
from videogen.data.readers import Readers
from videogen.data.records import BFLOAT16
from videogen.data.source import open_dataset
from videogen.data.tfds_layout import FEATURES, INFO, describe
from videogen.data.writer import shard_name, write_manifest, write_shard

# TFDS reads its JSON through protobuf's older names.
pytestmark = pytest.mark.filterwarnings("ignore:label:DeprecationWarning")
PARSERS = {
    "latents": records.parse_latent,
    "captions": records.parse_caption,
    "text": records.parse_text,
    "audio": records.parse_audio,
}


def bucket_of(dataset):
    return dataset / open_dataset(dataset).info.buckets[0]


def ours(bucket, kind, split):
    """The records of one kind, in order, as we read them: {field: value}."""
    content = load_manifest(bucket).splits[split]
    shards = content.latents if kind == "latents" else content.sidecars[kind]
    parse, readers = PARSERS[kind.partition("-")[0]], Readers()
    for shard in shards:
        for row in range(shard.records):
            yield parse(readers.read(bucket / shard.file, row, shard.records))


def comparable(value):
    if isinstance(value, np.ndarray):
        assert value.dtype == BFLOAT16
        return value.shape, value.tobytes()
    return value.encode() if isinstance(value, str) else value


def shaped(found, field):
    """What TFDS read as a field of ours, such as text_LD, in its shape."""
    name = field if field in found else field.rpartition("_")[0]
    value, shape = found[name], found.get(f"{name}/shape")
    return value if shape is None else value.reshape(shape)


def check(bucket, kind, split):
    """Equal bit for bit; returns how many there are."""
    directory = bucket if kind == "latents" else bucket / kind
    theirs = tfds.builder_from_directory(directory).as_data_source(split)
    count = 0
    for mine, found in zip(ours(bucket, kind, split), theirs, strict=True):
        for name, value in vars(mine).items():
            if name not in ("model", "kind", "reason") and value is not None:
                assert comparable(shaped(found, name)) == comparable(value)
        count += 1
    return count


@pytest.mark.parametrize("kind", ["latents", "captions-v1", "text-v1"])
@pytest.mark.parametrize(("split", "count"), [("train", 11), ("validation", 5)])
def test_records_are_read_as_we_read_them(mixed, kind, split, count):
    for bucket in open_dataset(mixed).info.buckets:
        assert check(mixed / bucket, kind, split) == count
    assert "tensorflow" not in sys.modules


def test_shards_and_sizes_are_those_of_the_manifest(mixed):
    bucket = bucket_of(mixed)
    info = tfds.builder_from_directory(bucket).info
    for name, split in load_manifest(bucket).splits.items():
        assert info.splits[name].filenames == sorted(s.file for s in split.latents)
        assert info.splits[name].shard_lengths == [s.records for s in split.latents]
        assert info.splits[name].num_bytes == sum(s.size for s in split.latents)


def test_a_new_version_is_described_and_the_old_stays(retold):
    bucket = bucket_of(retold)
    for kind in ("text-v1", "text-v2", "text-v3", "captions-v1"):
        assert check(bucket, kind, "train") == 11


def test_sound_and_captions_of_a_model(copy):
    bucket = bucket_of(copy)
    manifest = load_manifest(bucket)
    random = np.random.default_rng(0)

    def sound(id):
        audio_AC = random.standard_normal((4, 3))
        return records.audio_record(id=id, audio_AC=audio_AC, heard=True)

    def caption(id):
        return records.caption_record(
            id=id, caption="a caf\u00e9", model="m", kind="dense"
        )

    train = manifest.splits["train"]
    ids = [row.id for row in ours(bucket, "latents", "train")]
    made = {}
    for kind, make in (("audio-v1", sound), ("captions-v2-by", caption)):
        made[kind] = ()
        for index, shard in enumerate(train.latents):
            path = bucket / shard_name(kind, "train", index, len(train.latents))
            mine, ids = (
                ids[: shard.records],
                ids[shard.records :] + ids[: shard.records],
            )
            made[kind] += (write_shard(path, map(make, mine)),)
    train = dataclasses.replace(train, sidecars=train.sidecars | made)
    write_manifest(bucket, dataclasses.replace(manifest, splits={"train": train}))
    assert check(bucket, "audio-v1", "train") == check(
        bucket, "captions-v2-by", "train"
    )


def test_log_variances_are_read_where_there_are_any(copy):
    bucket = bucket_of(copy)
    manifest = load_manifest(bucket)
    assert "logvar" not in (bucket / "manifest.json").read_text()
    assert "logvar" not in (bucket / FEATURES).read_text()

    def with_logvar(row):
        logvar_FHWC = -2 * np.abs(row.latent_FHWC.astype(np.float32))
        return records.latent_record(**vars(row) | {"logvar_FHWC": logvar_FHWC})

    splits = {}
    for name, split in manifest.splits.items():
        rows = iter(list(ours(bucket, "latents", name)))
        shards = tuple(
            write_shard(
                bucket / shard.file,
                map(with_logvar, itertools.islice(rows, shard.records)),
            )
            for shard in split.latents
        )
        splits[name] = dataclasses.replace(split, latents=shards)
    changed = dataclasses.replace(manifest, splits=splits, logvar=True)
    write_manifest(bucket, changed)
    assert load_manifest(bucket) == changed
    for name, count in (("train", 11), ("validation", 5)):
        assert all(row.logvar_FHWC is not None for row in ours(bucket, "latents", name))
        assert check(bucket, "latents", name) == count


def test_a_split_without_records_is_not_there(mixed, tmp_path):
    manifest = load_manifest(bucket_of(mixed))
    none = dataclasses.replace(
        manifest.splits["validation"],
        records=0,
        latents=(),
        sidecars=dict.fromkeys(manifest.splits["validation"].sidecars, ()),
    )
    splits = manifest.splits | {"validation": none}
    write_manifest(tmp_path, dataclasses.replace(manifest, splits=splits))
    assert list(tfds.builder_from_directory(tmp_path).info.splits) == ["train"]


def test_equal_manifests_have_equal_files_and_features_are_what_tfds_writes(
    mixed, tmp_path
):
    bucket = bucket_of(mixed)
    described = describe(load_manifest(bucket))
    assert described == describe(load_manifest(bucket))
    for file, text in described.items():
        assert (bucket / file).read_text() == text
        if file.endswith(FEATURES):
            features = tfds.builder_from_directory((bucket / file).parent).info.features
            features.save_config(tmp_path)
            assert json.loads((tmp_path / FEATURES).read_text()) == json.loads(text)


def test_a_dataset_without_them_opens(copy):
    bucket = bucket_of(copy)
    for file in describe(load_manifest(bucket)):
        (bucket / file).unlink()
    shutil.rmtree(bucket / "captions-v1")
    assert not (bucket / INFO).exists()
    sources = open_dataset(copy).sources("train", captions="v1", text="v1")
    assert sources[0][0]
