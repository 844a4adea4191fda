"""Tiny datasets, written once and only read; damage goes to copies."""

import shutil

import numpy as np
import pytest

from data_pipelines.synthetic import write_synthetic
from videogen.data.pipeline import Conditioning
from videogen.data.source import open_dataset

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
