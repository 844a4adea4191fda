"""The attention benchmark: its rows, what is measured again, tables and checks."""

import importlib.util
from pathlib import Path

import pytest

from benchmarks import attention, records
from benchmarks.attention_rows import BOUNDED, CHOSEN, LONG, NO_MAX, SPLASH, WAN, rows
from benchmarks.attention_tables import checks, tables
from videogen.cost.compile import CompileError, TooSlowError, measure
from videogen.parallel.chips import CHIPS


def record(row, mcycles, **more):
    fields = {"mcycles": mcycles, "xla_mcycles": 0.0, "mxu": 0.5, "peak_gib": 1.0}
    return {"row": row.identity, "source": "s", **fields, **more}


def by_key(*found):
    return {records.key(one["row"]): one for one in found}


def row(shape, chip, kernel, both=False):
    matches = [
        one
        for one in rows()
        if (one.shape, one.chip, one.kernel, one.both) == (shape, chip, kernel, both)
    ]
    assert len(matches) == 1
    return matches[0]


def test_rows_are_distinct_and_their_cases_exist():
    every = list(rows())
    assert len({records.key(one.identity) for one in every}) == len(every)
    assert {one.chip for one in every} == set(CHIPS)
    for spec in {one.spec for one in every}:
        module, _, name = spec.partition(":")
        found = importlib.util.find_spec(module)
        assert found and found.origin
        assert f"def {name}(" in Path(found.origin).read_text()


def test_flags_choose_rows():
    def chosen(*flags):
        options = attention.parse(list(flags))
        return [one for one in rows() if attention.wanted(one, options)]

    assert len(chosen()) == len(list(rows()))
    ours = chosen("--chips=v6e,v5p", "--kernels=ours*", "--passes=both")
    assert ours and all(
        one.chip in ("v6e", "v5p") and one.kernel.startswith("ours") and one.both
        for one in ours
    )


@pytest.fixture
def lone_row(tmp_path, monkeypatch):
    """One row whose measurement fails at once, and a place for its record."""
    monkeypatch.setattr(attention, "RESULTS", tmp_path / "attention.jsonl")
    monkeypatch.setattr(attention, "source", lambda spec: "new")

    def refuse(*args, **keywords):
        raise CompileError("too large by 3 GiB")

    monkeypatch.setattr(attention, "measure", refuse)
    return row(WAN.name, "v6e", NO_MAX)


def test_a_refused_row_is_recorded_with_the_reason(lone_row):
    (found,) = attention.measured([lone_row], again=False)
    assert found[1]["error"] == "too large by 3 GiB"
    assert attention.outcome(found[1]) == "error: too large by 3 GiB"


def test_a_machine_that_was_too_slow_is_no_answer(lone_row, monkeypatch, capsys):
    def late(*args, **keywords):
        raise TooSlowError("not compiled within 1500 s")

    monkeypatch.setattr(attention, "measure", late)
    assert not list(attention.measured([lone_row], again=False))
    assert f"{attention.title(lone_row)}: not compiled" in capsys.readouterr().err


def test_only_new_sources_are_measured_again(lone_row):
    records.append(attention.RESULTS, record(lone_row, 1.0))
    assert len(list(attention.measured([lone_row], again=False))) == 1
    records.append(attention.RESULTS, record(lone_row, 1.0, source="new"))
    assert not list(attention.measured([lone_row], again=False))
    assert len(list(attention.measured([lone_row], again=True))) == 1


def test_a_figure_that_is_missing_is_told():
    every = {records.key(one.identity): record(one, 1.0) for one in rows()}
    ours, theirs = row(WAN.name, "v6e", NO_MAX), row(WAN.name, "v6e", SPLASH)
    assert attention.unanswered(every) == []
    for one in (ours, theirs):
        key = records.key(one.identity)
        rest = {k: x for k, x in every.items() if k != key}
        assert attention.unanswered(rest) == [one]
        refused = rest | {key: {"row": one.identity, "error": "no memory"}}
        assert attention.unanswered(refused) == ([one] if one is ours else [])


def test_tables_show_what_there_is():
    found = by_key(
        record(row(WAN.name, "v6e", NO_MAX), 19.84),
        record(row(WAN.name, "v5e", NO_MAX, True), 180.0),
        {"row": row(WAN.name, "tpu7x", NO_MAX).identity, "error": "no memory"},
    )
    text = tables(found)
    assert "| kernel | v6e | tpu7x | peak GiB |" in text
    assert "| ours | 19.8 (50%) | refused | 1.00 |" in text
    assert "| kernel | v5e | peak GiB |" in text and LONG.name not in text


def test_the_bounds_own_cost_is_a_line():
    found = by_key(
        record(row(WAN.name, "v6e", NO_MAX), 19.8),
        record(row(WAN.name, "v6e", CHOSEN), 20.7),
    )
    assert "| the look into the data alone | 0.9 |  |" in tables(found)


def test_checks_compare_with_what_was_asked():
    work = (LONG.N / WAN.N) ** 2 * LONG.K / WAN.K
    found = checks(
        by_key(
            record(row(WAN.name, "v6e", NO_MAX), 20.0),
            record(row(WAN.name, "v6e", NO_MAX, True), 81.0),
            record(row(WAN.name, "v6e", BOUNDED), 22.2, xla_mcycles=1.0),
            record(row(LONG.name, "v6e", NO_MAX), 20.0 * work * 1.01),
        )
    )
    verdicts = [(one.holds, round(one.measured, 3)) for one in found]
    assert verdicts == [(True, 20.0), (False, 81.0), (True, 1.01), (False, 1.06)]
    assert str(found[1]).startswith("MISS") and "asked <= 80" in str(found[1])


def test_a_pattern_is_measured_by_the_blocks_it_keeps():
    facts = {
        "pairs": 0.05,
        "tokens": 2.0 * WAN.N,
        "kept_forward": 0.1,
        "kept_backward": 0.2,
    }
    found = checks(
        by_key(
            record(row(WAN.name, "v6e", NO_MAX), 20.0),
            record(row(WAN.name, "v6e", NO_MAX, True), 70.0),
            record(row("patterns", "v6e", "window"), 8.8, facts=facts),
            record(row("patterns", "v6e", "window", True), 52.8, facts=facts),
        )
    )
    ratios = [round(one.measured, 3) for one in found if "window" in one.what]
    assert ratios == pytest.approx([8.8 / 8, 52.8 / (8 + 40)])


@pytest.mark.tpu
def test_arguments_lie_as_projections_write_them():
    """XLA would transpose arguments of so odd a length, and copy them for the kernel."""
    spec, sizes = "benchmarks.attention_cases:full", {"K": 1, "E": 128, "N": 75_600}
    assert measure(spec, "v5e", **sizes).xla_cycles == 0


@pytest.mark.tpu
@pytest.mark.parametrize("chip, most", [("v5p", 92.0), ("v6e", 80.0)])
def test_our_kernels_keep_their_cycles(chip, most):
    """Forward and backward at Wan-1.3B's 480p shape."""
    report = measure(
        "benchmarks.attention_cases:full", chip, K=12, E=128, N=32768, backward=True
    )
    assert report.cycles / 1e6 < most
    assert report.peak_bytes < 1 << 30
