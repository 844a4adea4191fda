"""Videos in WebDataset tars: which, with which captions; and tars that are none."""

import io
import json
import pathlib
import tarfile

import pytest

from data_pipelines.places import place
from data_pipelines.settings import IngestSettings
from data_pipelines.sources import find_sources, listing_sha256
from videogen.core.errors import ConfigError, DataError

MEMBERS = {
    "a/000.mp4": b"film 0" * 300,
    "a/000.txt": b" a red bicycle\n",
    "a/001.mp4": b"film 1" * 300,
    "a/001.json": json.dumps({"caption": "a blue bus", "label": 3}).encode(),
    "a/002.mp4": b"film 2" * 300,
    "a/002.json": json.dumps({"text": "a tree", "url": "x", "label": "no"}).encode(),
    "a/003.webm": b"film 3" * 300,
    "a/003.jpg": b"its poster",
    "a/004.left.mp4": b"film 4" * 300,
    "a/004.right.mp4": b"film 5" * 300,
    "a/004.txt": b"from two sides",
    "a/._000.mp4": b"of some system",
    "readme.md": b"no video",
}


def write(path, members=MEMBERS, mode="w"):
    with tarfile.open(path, mode) as tar:
        for name, content in members.items() if isinstance(members, dict) else members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


def find(videos, **fields):
    return find_sources(IngestSettings(videos=str(videos), **fields))


def good(sources):
    return [source for source in sources if not source.fault]


def told(sources):
    """{name: (code, reason)} of what is set aside."""
    return {source.name: source.fault for source in sources if source.fault}


def test_a_name_with_brackets(tmp_path):
    (folder := tmp_path / "[a]").mkdir()
    assert len(find(write(folder / "0.tar"))) == len(find(folder))


def test_videos_and_captions(tmp_path):
    found = find(write(tmp_path / "0.tar"))
    assert not told(found)
    captions = {s.name.removeprefix("0.tar/a/"): s.captions.caption for s in found}
    assert captions == {
        "000.mp4": "a red bicycle",
        "001.mp4": "a blue bus",
        "002.mp4": None,
        "003.webm": None,
        "004.left.mp4": "from two sides",
        "004.right.mp4": "from two sides",
    }
    assert [source.captions.label for source in found[:3]] == [-1, 3, -1]
    for number, source in enumerate(found):
        content = b"".join(place(source.path).blocks())
        assert content == f"film {number}".encode() * 300


def test_another_key_of_anybodys_json(tmp_path):
    found = find(write(tmp_path / "0.tar"), caption_field="text")
    assert found[2].captions.caption == "a tree"


def test_text_is_the_caption_where_json_has_none(tmp_path):
    members = {"a.mp4": b"1", "a.json": b'{"label": 2, "fps": 3}', "a.txt": b"a cat"}
    (source,) = find(write(tmp_path / "0.tar", members))
    assert source.captions.caption == "a cat"


def test_tars_of_a_pattern_or_a_folder(tmp_path):
    for name in ("b.tar", "a.tar"):
        write(tmp_path / name)
    (tmp_path / "c.mp4").write_bytes(b"a film")
    by_pattern = find(tmp_path / "*.tar")
    assert [s.name for s in by_pattern[::6]] == ["a.tar/a/000.mp4", "b.tar/a/000.mp4"]
    assert find(tmp_path)[:-1] == by_pattern
    assert find(tmp_path)[-1].name == "c.mp4"
    with pytest.raises(DataError, match="no such tar"):
        find(tmp_path / "x*.tar")


def test_what_precedes_a_cut_is_read(tmp_path):
    """At any byte: never an error, and what is found is whole."""
    path = write(tmp_path / "0.tar")
    whole, content = find(path), path.read_bytes()
    end = len(content.rstrip(b"\0"))
    counts = []
    for size in [*range(0, end, 97), *range(0, end + 512, 512)]:
        path.write_bytes(content[:size])
        found = find(path)
        assert good(found) == list(whole[: len(good(found))])
        ((name, (code, reason)),) = told(found).items()
        assert name == "0.tar"
        assert code == ("TRUNCATED" if size >= 512 else "UNREADABLE")
        assert f"videos found in it: {len(good(found))}" in reason
        counts.append(len(good(found)))
    assert set(counts) == {0, 1, 2, 3, 4, 6}
    assert "in or after a/003" in cut_after(path, content, content.index(b"film 3") + 9)


def cut_after(path, content, size):
    path.write_bytes(content[:size])
    return told(find(path))["0.tar"][1]


def test_damage_between_members(tmp_path):
    path = write(tmp_path / "0.tar")
    content = bytearray(path.read_bytes())
    header = content.index(b"a/002.mp4")
    content[header : header + 512] = b"\xff" * 512
    path.write_bytes(content)
    assert len(good(find(path))) == 1
    assert told(find(path))["0.tar"][0] == "TRUNCATED"


@pytest.mark.parametrize("content", [b"", b"no tar" * 1000, b"\0" * 2048])
def test_no_tar_is_set_aside(tmp_path, content):
    (tmp_path / "0.tar").write_bytes(content)
    assert told(find(tmp_path / "0.tar"))["0.tar"][0] == "UNREADABLE"


def test_a_compressed_tar_says_so(tmp_path):
    write(tmp_path / "0.tar", mode="w:gz")
    assert "compressed" in told(find(tmp_path / "0.tar"))["0.tar"][1]


def test_a_name_that_is_there_twice(tmp_path):
    members = [("a.mp4", b"1"), ("a.txt", b"one"), ("a.mp4", b"2")]
    found = find(write(tmp_path / "0.tar", members))
    assert b"".join(place(found[0].path).blocks()) == b"1"
    assert told(found) == {"0.tar/a.mp4": ("DUPLICATE", "a.mp4 is in the tar twice")}


def test_captions_that_cannot_be_meant(tmp_path):
    members = {"a.mp4": b"1", "a.json": b"{", "b.mp4": b"1", "b.txt": b"\xff"}
    found = told(find(write(tmp_path / "0.tar", members)))
    assert {code for code, _ in found.values()} == {"BAD_SIDECAR"}
    assert list(found) == ["0.tar/a", "0.tar/b"]


def test_the_listing_knows_captions_and_cuts(tmp_path):
    path = write(tmp_path / "0.tar")
    first = listing_sha256(find(path))
    assert listing_sha256(find(path)) == first
    write(path, MEMBERS | {"a/000.txt": b" a red bicycles"})
    assert listing_sha256(find(path)) != first
    path.write_bytes(path.read_bytes()[:-20000])
    assert listing_sha256(find(path)) != first


def test_fields_without_a_use_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="split=test: .* has no use for it"):
        find(write(tmp_path / "0.tar"), split="test")


def test_names_that_are_not_utf8_are_found(tmp_path):
    (source,) = find(write(tmp_path / "0.tar", {"caf\udce9.mp4": b"1"}))
    assert listing_sha256((source,))
    assert pathlib.PurePath(source.name).name == "caf\udce9.mp4"
