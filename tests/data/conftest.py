"""Tiny datasets, written once and only read; damage goes to copies."""

import dataclasses
import shutil

import numpy as np
import pytest

from data_pipelines.synthetic import write_synthetic
from videogen.data.manifest import load_dataset, load_manifest
from videogen.data.pipeline import Conditioning
from videogen.data.records import text_record
from videogen.data.source import open_dataset
from videogen.data.writer import shard_name, write_dataset, write_manifest, write_shard

LENGTH, DIM = 6, 12


@pytest.fixture(scope="session")
def mixed(tmp_path_factory):
    """Two buckets of 11 train and 5 validation clips each, in 3 shards."""
    directory = tmp_path_factory.mktemp("mixed")
    write_synthetic(
        directory,
        num_records=11,
        num_validation=5,
        num_shards=3,
        latent_shape=(2, 2, 3, 4),
        more_shapes=[(1, 3, 2, 4)],
        text_length=LENGTH,
        text_dim=DIM,
    )
    return directory


@pytest.fixture
def copy(mixed, tmp_path):
    """A copy of `mixed` that a test may damage."""
    return shutil.copytree(mixed, tmp_path / "copy")


@pytest.fixture
def sources(mixed):
    return open_dataset(mixed).sources("train", captions="v1", text="v1")


@pytest.fixture
def conditioning():
    null_text_LD = np.full((1, DIM), 7, np.float32)
    return Conditioning.of(null_text_LD, length=LENGTH, drop_rate=0.3, seed=1)


@pytest.fixture(scope="session")
def retold(mixed, tmp_path_factory):
    """`mixed` with texts v2 and v3: those of v1 times 2 and 3."""
    directory = tmp_path_factory.mktemp("retold") / "set"
    shutil.copytree(mixed, directory)
    info = load_dataset(directory)
    for bucket in info.buckets:
        manifest = load_manifest(directory / bucket)
        splits = {
            split: dataclasses.replace(
                each, sidecars=each.sidecars | _times(mixed, bucket, split, directory)
            )
            for split, each in manifest.splits.items()
        }
        write_manifest(directory / bucket, dataclasses.replace(manifest, splits=splits))
    text = {version: info.text["v1"] for version in ("v1", "v2", "v3")}
    write_dataset(directory, dataclasses.replace(info, text=text))
    return directory


def _times(mixed, bucket, split, directory):
    """{"text-v2": its shards, "text-v3": ...} of one bucket and split."""
    dataset = open_dataset(mixed)
    names = [source.bucket.name for source in dataset.sources(split)]
    source = dataset.sources(split, text="v1")[names.index(bucket)]
    sidecars = {}
    for factor in (2, 3):
        row, shards = 0, []
        latents = dataset.manifests[bucket].splits[split].latents
        for index, shard in enumerate(latents):
            clips = [source[row + i] for i in range(shard.records)]
            row += shard.records
            name = shard_name(f"text-v{factor}", split, index, len(latents))
            texts = [
                text_record(
                    id=c.latent.id, text_LD=factor * c.text_LD.astype(np.float32)
                )
                for c in clips
            ]
            shards.append(write_shard(directory / bucket / name, texts))
        sidecars[f"text-v{factor}"] = tuple(shards)
    return sidecars
