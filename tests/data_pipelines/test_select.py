"""Judgement: conditions in their order, then the best of each group of what is left."""

import pyarrow as pa

from data_pipelines.select import judge


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
