"""Measurements as lines: the last of a row counts; tables go between marks."""

import pytest

from benchmarks import records


def test_the_last_record_of_a_row_counts(tmp_path):
    path = tmp_path / "results/a.jsonl"
    assert records.read(path) == {}
    for row, value in (({"a": 1, "b": 2}, 3), ({"a": 2}, 4), ({"b": 2, "a": 1}, 5)):
        records.append(path, {"row": row, "value": value})
    found = records.read(path)
    assert [record["value"] for record in found.values()] == [5, 4]
    records.compact(path)
    assert records.read(path) == found and len(path.read_text().splitlines()) == 2


def test_a_source_is_its_files_and_versions(tmp_path, monkeypatch):
    monkeypatch.setattr(records, "ROOT", tmp_path)
    (tmp_path / "a.py").write_text("x = 1")
    (tmp_path / "b.txt").write_text("y")
    first = records.source_hash(["*.py"], ["jax"])
    (tmp_path / "b.txt").write_text("z")
    assert records.source_hash(["*.py"], ["jax"]) == first
    assert records.source_hash(["*.py"], ["jax", "numpy"]) != first
    (tmp_path / "a.py").write_text("x = 2")
    assert records.source_hash(["*.py"], ["jax"]) != first


def test_text_goes_between_its_marks_and_nowhere_else(tmp_path):
    path = tmp_path / "README.md"
    path.write_text("before\n<!-- t:begin -->\nold\n<!-- t:end -->\nafter\n")
    for _ in range(2):
        records.write_between(path, "t", "new\n")
        assert path.read_text() == (
            "before\n<!-- t:begin -->\nnew\n<!-- t:end -->\nafter\n"
        )


def test_missing_marks_are_an_error_that_shows_them(tmp_path):
    path = tmp_path / "README.md"
    path.write_text("<!-- t:begin -->")
    with pytest.raises(ValueError, match="README.md has no lines <!-- t:begin -->"):
        records.write_between(path, "t", "new")


def test_a_table_is_markdown():
    table = records.markdown(["a", "b"], [["x", "1"]])
    assert table == "| a | b |\n| --- | ---: |\n| x | 1 |"
