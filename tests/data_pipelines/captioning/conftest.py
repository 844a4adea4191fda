"""A finished dataset per test, an endpoint, and what a run of `caption` needs."""

import hashlib
import shutil

import pytest
from fake_endpoint import MODEL

from data_pipelines.alone import WORK
from data_pipelines.captioning.caption import caption
from data_pipelines.captioning.settings import CaptionSettings
from data_pipelines.synthetic import write_synthetic


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """Two buckets of 7 train and 3 validation clips, in 2 shards each."""
    directory = tmp_path_factory.mktemp("finished") / "set"
    write_synthetic(
        directory,
        num_records=7,
        num_validation=3,
        latent_shape=(3, 2, 2, 4),
        more_shapes=[(1, 3, 2, 4)],
        text_length=8,
    )
    return directory


@pytest.fixture
def dataset(finished, tmp_path):
    return shutil.copytree(finished, tmp_path / "set")


@pytest.fixture
def run(dataset, fake):
    """run(...) captions the dataset; the lines that it says."""

    def run(directory=dataset, **changes):
        values = {"version": "v2", "endpoint": fake.url, "model": MODEL, "attempts": 1}
        if "from_file" in changes:
            values = {"version": "v2"}
        lines = []
        caption(directory, CaptionSettings(**{**values, **changes}), say=lines.append)
        return "\n".join(lines)

    return run


@pytest.fixture
def hashes():
    """hashes(directory): {path: sha256} of its files, but for the work directory."""

    def hashes(directory):
        return {
            str(path.relative_to(directory)): hashlib.sha256(
                path.read_bytes()
            ).hexdigest()
            for path in sorted(directory.rglob("*"))
            if path.is_file() and WORK not in path.parts
        }

    return hashes
