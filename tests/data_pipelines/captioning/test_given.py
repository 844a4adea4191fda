"""Captions from a file: three formats, one line for what is wrong with one."""

import csv
import json

import pyarrow
import pyarrow.parquet
import pytest

from videogen.core.errors import ConfigError, DataError
from videogen.data.manifest import load_dataset
from videogen.data.source import open_dataset


def all_clips(directory, version):
    dataset = open_dataset(directory)
    return [
        source[row]
        for split in ("train", "validation")
        for source in dataset.sources(split, captions=version, text=version)
        for row in range(len(source))
    ]


def write(path, rows):
    if path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    elif path.suffix == ".csv":
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, ["id", "caption"])
            writer.writeheader()
            writer.writerows(rows)
    else:
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    return str(path)


@pytest.mark.parametrize("suffix", [".jsonl", ".csv", ".parquet"])
def test_every_format(dataset, run, fake, tmp_path, suffix):
    clips = all_clips(dataset, "v1")
    rows = [
        {"id": c.latent.id, "caption": f'of "{c.latent.id}",\n'} for c in clips[::-1]
    ]
    file = write(tmp_path / f"captions{suffix}", rows)
    assert "20 clips by ann, given" in run(from_file=file, model="ann")
    for clip in all_clips(dataset, "v2"):
        assert clip.caption == f'of "{clip.latent.id}",'
    assert load_dataset(dataset).captioners["v2"].model == "ann"
    assert "already captioned" in run(from_file=file, model="ann")
    assert not fake.asked


def test_missing_and_empty_captions_are_counted(dataset, run, tmp_path):
    ids = [clip.latent.id for clip in all_clips(dataset, "v1")]
    rows = [{"id": id, "caption": "x" if i else ""} for i, id in enumerate(ids[:18])]
    file = write(tmp_path / "captions.jsonl", rows)
    with pytest.raises(DataError, match="of 20 clips have no caption"):
        run(from_file=file)
    report = run(from_file=file, max_failures=0.2)
    assert "captions 17, without 3 (1 EMPTY, 2 MISSING)" in report


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"id": "a"', "Expecting"),
        ('{"id": 3, "caption": "x"}', "row 1 has no texts id and caption"),
        ("[1]", "row 1"),
        ('{"id": "a", "caption": "\\ud800"}', "row 1 is not UTF-8"),
        ('{"id": "a", "caption": "x"}\n{"id": "a", "caption": "y"}', "row 2: clip a"),
    ],
)
def test_a_file_that_cannot_be_used(dataset, run, tmp_path, text, message):
    path = tmp_path / "captions.jsonl"
    path.write_text(text)
    with pytest.raises(DataError, match=f"--from={path}: .*{message}"):
        run(from_file=str(path))


def test_a_file_of_another_kind_or_none(run, tmp_path):
    with pytest.raises(ConfigError, match=r"\.jsonl, \.csv, \.parquet file would work"):
        run(from_file="captions.xlsx")
    with pytest.raises(DataError, match="No such file"):
        run(from_file=str(tmp_path / "none.csv"))
