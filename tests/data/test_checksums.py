"""Every byte of every shard counts."""

import shutil

import pytest

from data_pipelines.synthetic import write_synthetic
from videogen.core.errors import DataError
from videogen.data.checksums import check_bytes
from videogen.data.source import open_dataset


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    path = tmp_path_factory.mktemp("written")
    write_synthetic(path, num_records=4, latent_shape=(1, 4, 4, 16), num_validation=2)
    return path


@pytest.fixture
def directory(written, tmp_path):
    return shutil.copytree(written, tmp_path / "copy")


def test_what_was_written_is_whole(directory):
    files = [path for path in directory.rglob("*.array_record-*")]
    assert check_bytes(open_dataset(directory)) == len(files) > 8


@pytest.mark.parametrize("kind", ["latents", "captions-v1", "text-v1"])
def test_one_bit_anywhere_shows(directory, kind):
    """Also where no reader would notice, such as between records."""
    (path, *_) = sorted(directory.rglob(f"{kind}-train.array_record-*"))
    for place in (0, path.stat().st_size // 2, -1):
        content = bytearray(path.read_bytes())
        content[place] ^= 1
        path.write_bytes(content)
        with pytest.raises(DataError, match=f"^1 of .* files .*: {path}; copy or"):
            check_bytes(open_dataset(directory))
        content[place] ^= 1
        path.write_bytes(content)
    check_bytes(open_dataset(directory))


def test_many_are_counted_and_few_named(directory):
    paths = list(directory.rglob("*.array_record-*"))
    for path in paths:
        path.write_bytes(bytes(path.stat().st_size))
    with pytest.raises(DataError) as error:
        check_bytes(open_dataset(directory))
    assert f"{len(paths)} of {len(paths)} files" in str(error.value)
    assert str(error.value).count("array_record") == 8 and ", ..." in str(error.value)


def test_a_file_that_the_disk_does_not_give_is_named(directory):
    dataset = open_dataset(directory)
    (path, *_) = sorted(directory.rglob("captions-v1-train.array_record-*"))
    path.unlink()
    path.mkdir()
    with pytest.raises(DataError, match=f"^{path}: cannot be read: Is a dir.*; copy"):
        check_bytes(dataset)
