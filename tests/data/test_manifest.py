"""JSON and back; every wrong field is named."""

import dataclasses
import json

import pytest

from videogen.core.errors import DataError
from videogen.data.manifest import (
    from_json,
    load_dataset,
    load_manifest,
    to_json,
)
from videogen.data.schema import AudioInfo

BUCKET = "f2_h2_w3"


def edit(path, change):
    data = json.loads(path.read_text())
    change(data)
    path.write_text(json.dumps(data))


def test_json_and_back(mixed):
    for content in (load_dataset(mixed), load_manifest(mixed / BUCKET)):
        assert from_json(to_json(content), type(content)) == content


def test_files_from_before_a_field_are_read(copy):
    assert "captioners" not in (copy / "dataset.json").read_text()
    assert '"captions": ""' not in (copy / "dataset.json").read_text()
    info = load_dataset(copy)
    assert info.captioners == {} and info.captions_of("v1") == "v1"


def test_an_unfinished_dataset_says_what_to_run(tmp_path):
    with pytest.raises(DataError, match="no dataset.json: not a finished .*all"):
        load_dataset(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.update(schema=9), "schema 9, but this version reads 2"),
        (lambda d: d["tokenizer"].pop("std"), "tokenizer.std is missing"),
        (lambda d: d["tokenizer"].update(x=1), "tokenizer.x is unknown"),
        (lambda d: d["text"]["v1"].update(dim="4"), "text.v1.dim='4' is not int"),
        (
            lambda d: d["tokenizer"].update(strides=[4, 8]),
            "strides has 2 values, not 3",
        ),
    ],
)
def test_a_wrong_field_is_named(copy, change, message):
    edit(copy / "dataset.json", change)
    with pytest.raises(DataError, match=rf"dataset.json: .*{message}") as error:
        load_dataset(copy)
    assert "\n" not in str(error.value)


def test_damaged_json_is_named(copy):
    (copy / BUCKET / "manifest.json").write_text("{")
    with pytest.raises(DataError, match="manifest.json: "):
        load_manifest(copy / BUCKET)


def test_a_sidecar_that_is_not_row_aligned_is_refused(copy):
    def shorten(data):
        data["splits"]["train"]["sidecars"]["text-v1"].pop()

    edit(copy / BUCKET / "manifest.json", shorten)
    with pytest.raises(DataError, match="text-v1 of train is not row-aligned"):
        load_manifest(copy / BUCKET)


def test_what_is_not_there_is_not_in_the_file(mixed):
    """A dataset without sound reads, and is written, as before there was any."""
    info = load_dataset(mixed)
    assert info.audio == {}
    assert "audio" not in json.loads((mixed / "dataset.json").read_text())
    audio = AudioInfo(
        name="mdct", fingerprint="f", rate=8, channels=1, mean=(0.0,), std=(1.0,)
    )
    heard = dataclasses.replace(info, audio={"v1": audio})
    assert from_json(to_json(heard), type(info)) == heard
