"""Judgement: conditions in their order, then the best of each group of what is left."""

import types

import pyarrow as pa
import pytest

from data_pipelines.select import clip_table, judge
from data_pipelines.tables import Result, Tables
from videogen.core.errors import DataError


def clip(id, motion=1.0, luma=100.0, height=64, group=None):
    return {
        "id": id,
        "source_id": f"of {id}",
        "motion": motion,
        "luma": luma,
        "height": height,
        "width": 96,
        "seconds": 1.0,
        "group": group,
    }


def codes(clips, where):
    rows = judge(pa.Table.from_pylist(clips), clips, where)
    assert [row["id"] for row in rows] == [clip["id"] for clip in clips]
    return [row["code"] for row in rows]


def test_the_first_condition_that_is_false_is_the_code():
    clips = [clip("a"), clip("b", motion=0.0, luma=1.0), clip("c", luma=1.0)]
    assert codes(clips, "motion > 0.5 and luma > 16") == [None, "LOW_MOTION", "DARK"]
    assert codes(clips, "luma > 16 and motion > 0.5") == [None, "DARK", "DARK"]
    assert codes(clips, "") == [None] * 3


def test_reasons_give_the_value():
    clips = [clip("a", motion=0.123456)]
    (row,) = judge(pa.Table.from_pylist(clips), clips, "0.5 <= motion <= 30")
    assert row["reason"] == "0.5 <= motion is false: motion=0.1235"


def test_of_duplicates_the_best_that_is_good_stays():
    """A large copy that is rejected does not take the small one with it."""
    pair = [clip("a", group="a"), clip("b", height=128, luma=1.0, group="a")]
    assert codes(pair, "") == ["DUPLICATE", None]
    assert codes(pair, "luma > 16") == [None, "DARK"]


def test_a_clip_keeps_its_own_values_or_is_missed(tmp_path):
    tables = Tables(tmp_path)
    job = types.SimpleNamespace(tables=tables)
    for phase, ids in (("score", "ab"), ("shots", "cba"), ("dedup", "ba")):
        rows = [{"id": id, phase: f"{phase} {id}"} for id in ids]
        columns = {"id": str, phase: str}
        result = Result(columns=columns, rows=rows, rejected=(), given=0)
        tables.write(phase, result, {}, {})
    found = clip_table(job).to_pylist()
    assert [row["shots"] for row in found] == ["shots a", "shots b"]
    result = Result(columns={"id": str}, rows=[{"id": "b"}], rejected=(), given=0)
    tables.write("dedup", result, {}, {})
    with pytest.raises(DataError, match="dedup has no clip a, which score has"):
        clip_table(job)
