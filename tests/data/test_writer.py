"""A shard is whole or absent; a refusal names the file."""

import pathlib
import zlib

import pytest
from array_record.python import array_record_module

from videogen.core.errors import DataError
from videogen.data.writer import (
    ids_sha256,
    remove_unfinished,
    shard_name,
    write_file,
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


def test_what_a_killed_process_left_is_removed(tmp_path, monkeypatch):
    """By the name it was given; other hidden files are somebody's."""
    left = []

    def killed(self, target):
        left.append(self.name)
        raise KeyboardInterrupt

    write_file(tmp_path / "a.json", b"whole")
    (tmp_path / ".notes").write_text("mine")
    (tmp_path / ".notes.txt").write_text("mine")
    with monkeypatch.context() as patched:
        patched.setattr(pathlib.Path, "unlink", lambda self, missing_ok: None)
        patched.setattr(pathlib.Path, "replace", killed)
        with pytest.raises(KeyboardInterrupt):
            write_file(tmp_path / "b.json", b"half")
    assert (tmp_path / left[0]).is_file()
    remove_unfinished(tmp_path)
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"a.json", ".notes", ".notes.txt"}
