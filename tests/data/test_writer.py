"""A shard is whole or absent; a refusal names the file."""

import contextlib
import itertools
import pathlib
import zlib

import pytest
from array_record.python import array_record_module

from videogen.core.errors import DataError
from videogen.data.manifest import load_dataset, load_manifest
from videogen.data.writer import (
    ids_sha256,
    remove_unfinished,
    shard_name,
    write_dataset,
    write_file,
    write_manifest,
    write_shard,
)


def test_the_file_is_what_its_info_says(tmp_path):
    path = tmp_path / "new" / shard_name("latents", "train", 2, 4)
    info = write_shard(path, (b"%d" % i for i in range(7)))
    content = path.read_bytes()
    assert info.file == "latents-train.array_record-00002-of-00004"
    assert (info.records, info.size, info.crc32) == (
        7,
        len(content),
        zlib.crc32(content),
    )
    reader = array_record_module.ArrayRecordReader(str(path))
    assert reader.read([0, 6]) == [b"0", b"6"]
    reader.close()


def test_writing_twice_gives_the_same_bytes(tmp_path):
    infos = [write_shard(tmp_path / "s", [b"a" * 9999] * 5) for _ in range(2)]
    assert infos[0] == infos[1]


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path):
    write_shard(tmp_path / "s", [b"old"])
    old = (tmp_path / "s").read_bytes()

    def records():
        yield b"new"
        raise OSError("the video broke")

    with pytest.raises(OSError, match="the video broke"):
        write_shard(tmp_path / "s", records())
    assert (tmp_path / "s").read_bytes() == old
    assert [path.name for path in tmp_path.iterdir()] == ["s"]


@pytest.mark.parametrize("where", ["file/shard", "folder"])
def test_an_impossible_place_is_named(tmp_path, where):
    (tmp_path / "file").write_text("")
    (tmp_path / "folder/inside").mkdir(parents=True)
    with pytest.raises(DataError, match=f"{where}: cannot be written"):
        write_shard(tmp_path / where, [b"a"])


def test_a_full_disk_is_named(tmp_path, monkeypatch):
    class Full:
        def __init__(self, path, options):
            pass

        def write(self, record):
            raise RuntimeError("write() failed: No space left on device")

    monkeypatch.setattr(array_record_module, "ArrayRecordWriter", Full)
    with pytest.raises(DataError, match="s: cannot be written: .*No space left"):
        write_shard(tmp_path / "s", [b"a"])


def test_the_hash_of_ids_knows_order_and_borders():
    ids = (["a", "b"], ["b", "a"], ["ab"], ["a"], [])
    assert len({ids_sha256(each) for each in ids}) == len(ids)


class Killed(BaseException):
    """In the place of a signal that no handler sees."""


@contextlib.contextmanager
def killed_at(renames):
    """So many files are finished; the next one's temporary file is left behind."""
    replace, left = pathlib.Path.replace, iter(range(renames))

    def rename(self, target):
        if next(left, None) is None:
            raise Killed
        return replace(self, target)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(pathlib.Path, "replace", rename)
        patched.setattr(pathlib.Path, "unlink", lambda self, missing_ok: None)
        yield


def test_what_a_killed_process_left_is_removed(tmp_path):
    """By the name it was given; other hidden files are somebody's."""
    write_file(tmp_path / "a.json", b"whole")
    (tmp_path / ".notes").write_text("mine")
    (tmp_path / ".notes.txt").write_text("mine")
    with pytest.raises(Killed), killed_at(renames=0):
        write_file(tmp_path / "b.json", b"half")
    assert len(list(tmp_path.glob(".b.json.*"))) == 1
    remove_unfinished(tmp_path)
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"a.json", ".notes", ".notes.txt"}


def test_a_dataset_closed_again_shows_nothing_of_kills(mixed, tmp_path):
    """At each file of its manifests, sidecars' too."""
    info = load_dataset(mixed)

    def close(directory):
        for bucket in info.buckets:
            write_manifest(directory / bucket, load_manifest(mixed / bucket))
        write_dataset(directory, info)

    def content(directory):
        files = (path for path in directory.rglob("*") if path.is_file())
        return {path.relative_to(directory): path.read_bytes() for path in files}

    for renames in itertools.count():
        try:
            with killed_at(renames):
                close(tmp_path / "killed")
            break
        except Killed:
            continue
    close(tmp_path / "killed")
    close(tmp_path / "whole")
    assert content(tmp_path / "killed") == content(tmp_path / "whole")
    assert renames == len(content(tmp_path / "whole"))
