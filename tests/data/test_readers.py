"""Few files are open at a time, and none is closed under a thread that reads from it."""

import concurrent.futures
import dataclasses
import gc
import os
import pathlib
import resource

import pytest

from videogen.core.errors import DataError
from videogen.data.readers import Readers
from videogen.data.source import open_dataset
from videogen.data.writer import write_shard

NUM_SHARDS, NUM_RECORDS = 12, 3
FDS = pathlib.Path("/proc/self/fd")
pytestmark = pytest.mark.skipif(not FDS.exists(), reason="counts files in /proc")


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    directory = tmp_path_factory.mktemp("shards")
    paths = [directory / f"shard{index}" for index in range(NUM_SHARDS)]
    for path in paths:
        write_shard(path, [content(path, row) for row in range(NUM_RECORDS)])
    return paths


def content(path, row):
    return f"{path.name} {row} ".encode() * 5000


def open_files(directory):
    """How many files below `directory` this process holds open."""
    links = []
    for fd in FDS.iterdir():
        try:
            links.append(os.readlink(fd))
        except OSError:  # the listing's own, closed by now
            continue
    return sum(link.startswith(f"{directory}/") for link in links)


def test_few_files_are_open_at_a_time(shards):
    readers = Readers(most_open=4)
    for row in range(NUM_RECORDS):
        for path in shards:
            assert readers.read(path, row, NUM_RECORDS) == content(path, row)
            assert 1 <= open_files(path.parent) <= 4
    del readers
    assert open_files(shards[0].parent) == 0


def test_the_least_recently_used_goes_first(shards):
    readers = Readers(most_open=2)
    for path in (shards[0], shards[1], shards[0], shards[2]):
        readers.read(path, 0, NUM_RECORDS)
    links = {os.readlink(fd) for fd in FDS.iterdir() if fd.exists()}
    assert {str(shards[0]), str(shards[2])} <= links
    assert str(shards[1]) not in links


def test_threads_read_what_others_let_go(shards):
    readers = Readers(most_open=1)
    wanted = [(path, row) for row in range(NUM_RECORDS) for path in shards] * 30

    def right(place):
        return readers.read(*place, NUM_RECORDS) == content(*place)

    with concurrent.futures.ThreadPoolExecutor(8) as threads:
        assert all(threads.map(right, wanted))
    assert open_files(shards[0].parent) == 1


def test_all_sources_of_a_dataset_share_the_bound(mixed):
    gc.collect()  # batches of other tests of the same dataset
    before = open_files(mixed)
    dataset = dataclasses.replace(open_dataset(mixed), readers=Readers(most_open=3))
    sources = dataset.sources("train", captions="v1", text="v1")
    for source in (*sources, *dataset.sources("validation", text="v1")):
        for row in range(len(source)):
            assert source[row].latent.id.endswith(f"{row:02d}") or len(source) == 5
    assert open_files(mixed) <= before + 3


def test_a_file_that_is_no_shard_is_named(tmp_path):
    path = tmp_path / "shard"
    path.write_bytes(b"no records")
    with pytest.raises(DataError, match=f"{path} record 0: cannot be read"):
        Readers().read(path, 0, 1)


def test_too_many_open_files_is_not_taken_for_a_short_shard(shards):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))  # 0, 1 and 2 are taken
    try:
        with pytest.raises(DataError, match="Too many open files"):
            Readers().read(shards[0], 0, NUM_RECORDS)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_storage_that_fails_once_is_asked_again(shards, monkeypatch):
    readers, failures = Readers(), [RuntimeError("a hiccup")]
    opened = readers._reader

    def reader(path, num_records):
        if failures:
            raise failures.pop()
        return opened(path, num_records)

    monkeypatch.setattr(readers, "_reader", reader)
    assert readers.read(shards[0], 1, NUM_RECORDS) == content(shards[0], 1)
