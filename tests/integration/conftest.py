"""A tiny dataset, written once."""

from pathlib import Path

import pytest

from data_pipelines.synthetic import write_synthetic


@pytest.fixture(scope="session")
def dataset(tmp_path_factory) -> Path:
    """40 synthetic clips of latent shape (3, 4, 4, 16)."""
    directory = tmp_path_factory.mktemp("dataset")
    write_synthetic(
        directory,
        num_records=40,
        latent_shape=(3, 4, 4, 16),
        seed=0,
        text_length=8,
    )
    return directory
