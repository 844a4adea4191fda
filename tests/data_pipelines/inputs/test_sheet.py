"""Videos listed in a CSV or Parquet file; each mistake names file, row and column."""

import csv

import pyarrow as pa
import pytest
from pyarrow import parquet

from data_pipelines.captions import Span
from data_pipelines.cut import Cutter, watch_source
from data_pipelines.probe import probe
from data_pipelines.settings import IngestSettings, ShotsSettings
from data_pipelines.sources import find_sources, listing_sha256
from data_pipelines.tables import Tables
from videogen.core.errors import ConfigError, DataError


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "in").mkdir()
    for name in ("a.mp4", "b.mp4", "in/c.mp4"):
        (tmp_path / name).write_bytes(name.encode())
    return tmp_path


def write(folder, rows, name="videos.csv"):
    """`rows` of dicts; what one lacks is empty."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    path = folder / name
    if name.endswith(".parquet"):
        parquet.write_table(pa.Table.from_pylist(rows), path)
    else:
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, columns)
            writer.writeheader()
            writer.writerows(rows)
    return path


def find(path, **fields):
    return find_sources(IngestSettings(videos=str(path), **fields))


def faults(sources):
    return {s.name: s.fault for s in sources if s.fault}


@pytest.mark.parametrize("name", ["videos.csv", "videos.parquet"])
def test_rows_are_videos_with_captions(folder, name):
    rows = [
        {
            "path": "in/c.mp4",
            "caption": "a \u00e7at, sitting",
            "label": 3,
            "id": "first",
        },
        {"path": str(folder / "a.mp4"), "caption": None, "label": None, "url": "x"},
        {"path": "./in/../b.mp4", "caption": " two\nlines ", "label": None, "id": None},
    ]
    found = find(write(folder, rows, name))
    assert [s.name for s in found] == ["first", "a.mp4", "b.mp4"]
    paths = [str(folder / p) for p in ("in/c.mp4", "a.mp4", "b.mp4")]
    assert [s.path for s in found] == paths
    captions = [s.captions.caption for s in found]
    assert captions == ["a \u00e7at, sitting", None, "two\nlines"]
    assert [s.captions.label for s in found] == [3, -1, -1]


def test_other_names_of_columns(folder):
    path = write(folder, [{"file": "a.mp4", "text": "a cat"}])
    (source,) = find(path, video_field="file", caption_field="text")
    assert source.captions.caption == "a cat"
    with pytest.raises(DataError, match=r"videos.csv: no column 'path'.*--video-field"):
        find(path, caption_field="text")
    with pytest.raises(DataError, match="no column 'caption'.*--caption-field"):
        find(path, video_field="file")


@pytest.mark.parametrize("name", ["videos.csv", "videos.parquet"])
def test_parts_of_one_video(folder, name):
    rows = [
        {"path": "a.mp4", "caption": "later", "start_s": 2.0, "end_s": 3.5},
        {"path": "b.mp4", "caption": "whole", "start_s": None, "end_s": None},
        {"path": "a.mp4", "caption": None, "start_s": 0.0, "end_s": 2.0},
        {"path": "b.mp4", "caption": "part", "start_s": 1.0, "end_s": 2.0},
    ]
    a, b = find(write(folder, rows, name))
    assert (a.name, b.name) == ("a.mp4", "b.mp4")
    later = Span(start_s=2.0, end_s=3.5, caption="later")
    assert a.captions.spans == (Span(start_s=0.0, end_s=2.0, caption=None), later)
    assert a.captions.spans_only and not b.captions.spans_only
    assert (a.captions.at(0, 1), a.captions.at(2.5, 3)) == (None, "later")
    assert (b.captions.at(0, 0.9), b.captions.at(1.2, 3)) == ("whole", "part")


def test_clips_lie_in_the_parts(tmp_path, make_video):
    make_video(tmp_path / "a.mp4", [60, 60])
    rows = [
        {"path": "a.mp4", "caption": "one", "start_s": 0.5, "end_s": 1.5},
        {"path": "a.mp4", "caption": "two", "start_s": 2.0, "end_s": 4.0},
    ]
    (source,) = find(write(tmp_path, rows))
    (row,) = probe(source)
    settings = ShotsSettings(min_seconds=0.5, max_seconds=0.5)
    (found,) = Cutter(settings)(row, watch_source(row, settings=settings))
    spans = [(round(24 * c["start_s"]), c["last_frame"]) for c in found["clips"]]
    # The cut at frame 60 takes two more on either side; 36 and 96 are the last inside.
    assert spans == [(12, 24), (62, 74), (75, 87)]


@pytest.mark.filterwarnings("ignore::DeprecationWarning:apache_beam.*")
@pytest.mark.filterwarnings("ignore::FutureWarning:apache_beam.*")
def test_parts_may_overlap(tmp_path, make_video, run_all):
    """A clip has the caption of the part that it was cut from."""
    make_video(tmp_path / "a.mp4", [96])
    rows = [
        {"path": "a.mp4", "caption": "the middle", "start_s": 1.0, "end_s": 2.0},
        {"path": "a.mp4", "caption": "all of it", "start_s": 0.0, "end_s": 4.0},
    ]
    shots, out = ShotsSettings(min_seconds=0.5, max_seconds=2.0), tmp_path / "out"
    run_all(write(tmp_path, rows), out, shots=shots)
    clips = {row["id"]: row for row in Tables(out / "tables").read("shots")}
    frames = [(c["first_frame"], c["last_frame"]) for c in clips.values()]
    assert frames == [(2, 50), (24, 48), (51, 93)]
    found = Tables(out / "tables").read("encode")
    assert {(clips[row["id"]]["first_frame"], row["caption"]) for row in found} == {
        (2, "all of it"),
        (24, "the middle"),
        (51, "all of it"),
    }


@pytest.mark.parametrize(
    ("cells", "column"),
    [
        ({"path": ""}, "path"),
        ({"path": "a\0b"}, "path"),
        ({"start_s": "x", "end_s": 1}, "start_s"),
        ({"start_s": 1}, "end_s"),
        ({"end_s": 1}, "start_s"),
        ({"start_s": 2, "end_s": 1}, "end_s"),
        ({"start_s": -1, "end_s": 1}, "end_s"),
        ({"start_s": "nan", "end_s": 1}, "start_s"),
        ({"label": "cat"}, "label"),
        ({"label": 1.5}, "label"),
        ({"label": -2}, "label"),
    ],
)
def test_a_row_that_cannot_be_meant_is_set_aside(folder, cells, column):
    good = {"path": "b.mp4", "caption": "", "label": "", "start_s": "", "end_s": ""}
    path = write(folder, [good, {**good, "path": "a.mp4", **cells}])
    found = find(path)
    assert found[0].path == str(folder / "b.mp4")
    ((name, (code, reason)),) = faults(found).items()
    assert (name, code) == ("videos.csv row 2", "BAD_ROW")
    assert f"row 2, column {column!r}" in reason


def test_types_of_parquet_that_cannot_be_meant(folder):
    rows = [{"path": "a.mp4", "caption": ["a", "b"]}]
    (source,) = find(write(folder, rows, "videos.parquet"))
    assert "row 1, column 'caption'" in source.fault[1]


def test_a_missing_file_is_set_aside(folder):
    rows = [{"path": name, "caption": "x"} for name in ("a.mp4", "gone.mp4")]
    found = find(write(folder, rows))
    ((name, (code, reason)),) = faults(found).items()
    assert (name, code) == ("gone.mp4", "MISSING")
    assert "row 2 of videos.csv" in reason
    rows = [{"path": f"x/{name}", "caption": "x"} for name in ("a.mp4", "b.mp4")]
    with pytest.raises(DataError, match="videos.csv: none of its files.*row 1.*'path'"):
        find(write(folder, rows))


def test_an_id_that_is_there_twice(folder):
    rows = [{"path": name, "caption": "", "id": "x"} for name in ("a.mp4", "b.mp4")]
    with pytest.raises(DataError, match="videos.csv: row 2, column 'id': 'x' is row 1"):
        find(write(folder, rows))


def test_rows_that_say_nothing_new(folder):
    rows = [
        {"path": "a.mp4", "caption": "x", "start_s": "", "end_s": ""},
        {"path": "./a.mp4", "caption": "y", "start_s": "", "end_s": ""},
        {"path": "a.mp4", "caption": "z", "start_s": 0, "end_s": 2},
        {"path": "a.mp4", "caption": "z", "start_s": 0, "end_s": 2},
        {"path": "a.mp4", "caption": "z", "start_s": 1, "end_s": 3},
    ]
    found = find(write(folder, rows))
    codes = {name: code for name, (code, _) in faults(found).items()}
    assert codes == {
        "videos.csv row 2": "DUPLICATE",
        "videos.csv row 4": "DUPLICATE",
    }
    assert found[0].captions.caption == "x" and len(found[0].captions.spans) == 2


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "no column 'path'"),
        (b"path,caption\n", "no rows"),
        (b"path,caption,start_s\na.mp4,x,1\n", "no column 'end_s'"),
        (b"path,caption\na.mp4,caf\xe9\n", "can't decode"),
        (b'path,caption\na.mp4,"' + b"x" * 200_000, "field larger"),
    ],
)
def test_a_file_that_is_no_sheet(folder, content, words):
    (folder / "videos.csv").write_bytes(content)
    with pytest.raises(DataError, match=rf"videos\.csv: .*{words}"):
        find(folder / "videos.csv")


def test_a_parquet_that_is_none(folder):
    (folder / "videos.parquet").write_bytes(b"no table")
    with pytest.raises(DataError, match="videos.parquet: .*Parquet"):
        find(folder / "videos.parquet")


def test_the_listing_knows_captions(folder):
    listings = {
        listing_sha256(find(write(folder, [{"path": "a.mp4", "caption": text}])))
        for text in ("x", "y", "")
    }
    assert len(listings) == 3


def test_fields_without_a_use_are_refused(folder):
    path = write(folder, [{"path": "a.mp4", "caption": ""}])
    with pytest.raises(ConfigError, match="--frames-fps=5.0: .* has no use for it"):
        find(path, frames_fps=5.0)
    with pytest.raises(DataError, match="x.csv: No such file"):
        find(folder / "x.csv")
