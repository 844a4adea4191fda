"""Units: a fixed split, parts that a killed run goes on from, too many failures told."""

import json

import pytest

from data_pipelines import units
from data_pipelines.guard import Limits
from data_pipelines.stages import Runner
from data_pipelines.units import Engine, read_part, remove_parts, run_units, split
from videogen.core.errors import ConfigError, DataError

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning:apache_beam.*"),
    pytest.mark.filterwarnings("ignore::FutureWarning:apache_beam.*"),
]
ITEMS = [f'[{{"id": {n}}}]' for n in range(130)]
ROWS = [{"rows": [{"id": n}]} for n in range(130)]
ENGINE = Engine(limits=Limits(timeout_s=60, retries=0))


@pytest.mark.parametrize("count", [0, 1, 3, 64, 65, 1000, 10000, 12345])
def test_a_split_is_a_function_of_the_list(count):
    made = split(range(count))
    assert [n for unit in made for n in unit.items] == list(range(count))
    assert len(made) == min(count, 64) or count > 64
    assert all(len(unit.items) <= units.UNIT_SIZE for unit in made)
    assert [unit.index for unit in made] == list(range(len(made)))


def test_answers_come_in_order(tmp_path):
    assert run_units(ITEMS, json.loads, tmp_path / "p", ENGINE) == ROWS


def test_a_killed_run_goes_on(tmp_path, monkeypatch):
    """Only what has no part, or no whole one, is done again."""
    parts = tmp_path / "p"
    run_units(ITEMS, json.loads, parts, ENGINE)
    names = sorted(parts.glob("*.json"))
    kept = {path: path.stat().st_mtime_ns for path in names[2:]}
    names[0].unlink()
    names[1].write_text("[{")
    (parts / "done-00000-of-00003").write_text('[0, {"error": "of a killed run"}]\n')
    assert run_units(ITEMS, json.loads, parts, ENGINE) == ROWS
    assert {path: path.stat().st_mtime_ns for path in names[2:]} == kept

    def never(*arguments):
        raise AssertionError("nothing is missing")

    monkeypatch.setattr(units, "map_items", never)
    assert run_units(ITEMS, json.loads, parts, ENGINE) == ROWS


def test_one_failure_is_that_item_s_own(tmp_path):
    found = run_units(["[1]", "{"], json.loads, tmp_path / "p", ENGINE)
    assert found[0] == {"rows": [1]}
    assert found[1]["code"] == "CRASH"
    engine = Engine(limits=ENGINE.limits, max_failures=0)
    with pytest.raises(DataError, match="1 of 2 items failed"):
        run_units(["[1]", "{"], json.loads, tmp_path / "p", engine)
    for most in (-0.1, 1.1, float("nan")):
        with pytest.raises(ConfigError, match="--max-failures=.*0 to 1 would work"):
            Engine(max_failures=most)


def test_many_failures_end_the_run_and_are_forgotten(tmp_path):
    parts = tmp_path / "p"
    items = ["{", "{", *ITEMS[:10]]
    with pytest.raises(DataError, match="2 of 12 items failed, 2 by CRASH .JSONDecode"):
        run_units(items, json.loads, parts, ENGINE)
    assert [read_part(parts, n, 1) is None for n in range(12)] == [True] * 2 + [
        False
    ] * 10
    forgiving = Engine(limits=ENGINE.limits, max_failures=0.5)
    assert len(run_units(items, json.loads, parts, forgiving)) == 12


def test_workers_change_nothing(tmp_path):
    many = ("--direct_num_workers=4", "--direct_running_mode=multi_threading")
    engine = Engine(runner=Runner(arguments=many), limits=ENGINE.limits)
    for name, how in (("a", ENGINE), ("b", engine)):
        run_units(ITEMS, json.loads, tmp_path / name, how)
    for path in (tmp_path / "a").glob("*.json"):
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()


def test_parts_are_removed_with_their_folder(tmp_path):
    for name in ("score-1", "score-2", "shots-1"):
        (tmp_path / "parts" / name).mkdir(parents=True)
    remove_parts(tmp_path, "score")
    assert [p.name for p in (tmp_path / "parts").iterdir()] == ["shots-1"]
    remove_parts(tmp_path, "shots")
    assert not (tmp_path / "parts").exists()
