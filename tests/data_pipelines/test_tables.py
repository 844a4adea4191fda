"""Tables: whole or absent, of known settings, of unique ids."""

import dataclasses

import pytest

from data_pipelines.quarantine import Rejected
from data_pipelines.tables import Result, Tables
from videogen.core.errors import ConfigError, DataError

COLUMNS = {"id": str, "n": int, "score": float}
ROWS = [{"id": "a", "n": 1, "score": 0.1 + 0.2}, {"id": "b", "n": 2, "score": None}]
BAD = Rejected(phase="score", id="c", name="c.mp4", code="DARK", reason="it is")


def write(tables, rows=ROWS, arguments=None, inputs=None):
    result = Result(columns=COLUMNS, rows=rows, rejected=[BAD], given=len(rows) + 1)
    return tables.write("score", result, arguments or {"fps": 1}, inputs or {"x": "1"})


def test_there_and_back(tmp_path):
    tables = Tables(tmp_path)
    assert tables.receipt("score") is None
    receipt = write(tables)
    assert tables.read("score") == ROWS
    assert tables.rejected("score") == [BAD]
    assert tables.receipt("score") == receipt
    assert receipt.counts == {"in": 3, "out": 2, "DARK": 1}


def test_equal_rows_are_equal_bytes(tmp_path):
    for name in "ab":
        write(Tables(tmp_path / name))
    for path in sorted((tmp_path / "a").iterdir()):
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()


def test_an_id_that_is_twice(tmp_path):
    with pytest.raises(DataError, match="score: the id a is there 2 times"):
        write(Tables(tmp_path), [*ROWS, ROWS[0]])
    assert not list(tmp_path.iterdir())


def test_an_edited_table_is_refused(tmp_path):
    tables = Tables(tmp_path)
    write(tables)
    path = tmp_path / "score.parquet"
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(DataError, match="changed since score wrote it.*--overwrite"):
        tables.read("score")


def test_a_damaged_receipt_is_refused(tmp_path):
    tables = Tables(tmp_path)
    write(tables)
    for text in ("{", "[]", '{"phase": "score"}'):
        (tmp_path / "score.json").write_text(text)
        with pytest.raises(DataError, match="score.json: .*--overwrite"):
            tables.receipt("score")


def test_a_damaged_list_of_what_was_set_aside(tmp_path):
    tables, path = Tables(tmp_path), tmp_path / "score.rejected.jsonl"
    write(tables)
    for text in ("{", "[1]", '{"phase": "score"}', None):
        if text is None:
            path.unlink()
        else:
            path.write_text(text)
        with pytest.raises(DataError, match="rejected.jsonl: .*run score with --over"):
            tables.rejected("score")


def test_a_table_that_is_gone(tmp_path):
    tables = Tables(tmp_path)
    with pytest.raises(DataError, match="python -m data_pipelines score` first"):
        tables.read("score")
    write(tables)
    (tmp_path / "score.parquet").unlink()
    with pytest.raises(DataError, match="cannot be read"):
        tables.read("score")


def test_what_differs_is_named(tmp_path):
    tables = Tables(tmp_path)
    write(tables, arguments={"a_b": 1, "c": 2})
    assert tables.current("score", {"a_b": 1, "c": 2}, {"x": "1"})
    with pytest.raises(ConfigError, match="--a-b=1, not 3"):
        tables.current("score", {"a_b": 3, "c": 2}, {"x": "1"})
    with pytest.raises(ConfigError, match="another table of x than"):
        tables.current("score", {"a_b": 1, "c": 2}, {"x": "2"})


def test_files_that_flags_name_are_told_by_their_flags(tmp_path):
    tables = Tables(tmp_path)
    write(tables, arguments={"detector": "n:w", "detector_weights": "1", "z": 1})
    for z in (1, 2):
        made = {"detector": "n:w", "detector_weights": "2", "z": z}
        said = (
            "other weights of --detector=n:w than there" if z == 1 else "--z=1, not 2"
        )
        with pytest.raises(ConfigError, match=said):
            tables.current("score", made, {"x": "1"})


def test_equal_videos_that_lie_elsewhere_are_others(tmp_path):
    tables = Tables(tmp_path)
    write(tables, arguments={"videos": "a", "listing": "1"}, inputs={"x": "1"})
    assert tables.current("score", {"videos": "a", "listing": "1"}, {"x": "1"})
    for listing in "12":  # the table has paths of them
        with pytest.raises(ConfigError, match="--videos=a, not b"):
            tables.current("score", {"videos": "b", "listing": listing}, {"x": "1"})
    with pytest.raises(ConfigError, match="other videos or captions in a"):
        tables.current("score", {"videos": "a", "listing": "2"}, {"x": "1"})


def test_tables_are_made_of_those_that_are_there(tmp_path):
    """Shots made again: scores of the old ones are no input of anything."""
    tables = Tables(tmp_path)
    result = Result(columns=COLUMNS, rows=ROWS, rejected=[], given=2)
    shots = tables.write("shots", result, {}, {})
    score = tables.write("score", result, {}, {"shots": shots.sha256})
    expected = {"shots": shots.sha256, "score": score.sha256}
    assert tables.checksums(("shots", "score")) == expected
    tables.write("shots", dataclasses.replace(result, rows=ROWS[:1]), {}, {})
    with pytest.raises(
        ConfigError, match="another table of shots.*run score with --ov"
    ):
        tables.checksums(("shots", "score"))


def test_only_what_a_phase_had_not_finished_is_removed(tmp_path):
    mine = [tmp_path / f".score.{end}.abcdef01" for end in ("json", "parquet")]
    others = [tmp_path / ".notes.bad", tmp_path / ".shots.json.abcdef01"]
    for path in (*mine, *others):
        path.touch()
    Tables(tmp_path).remove_unfinished("score")
    assert sorted(tmp_path.iterdir()) == sorted(others)
