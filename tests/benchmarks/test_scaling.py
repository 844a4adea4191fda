"""Scaling on paper: its points, and what is chosen and drawn of them."""

import dataclasses

import pytest

from benchmarks import scaling, scaling_plot
from benchmarks.scaling import Point
from videogen.cost.analytic.estimate import Estimate
from videogen.cost.analytic.layout import Layout


def estimate(seconds, spare=5.0, **axes):
    return Estimate(
        layout=Layout(**axes),
        compute={"products": seconds},
        waits={"weights": 0.5},
        sent={"weights": 2e9},
        num_bytes={"state": 2.0**30 * (95.0 - spare)},
        mfu=0.5,
        allowed_gib=95.0,
    )


def test_both_kinds_of_scaling_reach_over_one_slice():
    weak, strong = scaling.series("movie_gen_30b").values()
    assert [x.chips for x in weak] == [x.chips for x in strong] == list(scaling.CHIPS)
    assert {x.chips / x.clips for x in weak} == {4} and {x.clips for x in strong} == {
        256
    }
    assert [x.slices for x in weak[-2:]] == [1, 2]
    assert {scaling.topology(x) for x in weak[-2:]} == {"v5p:8x16x16"}
    names = {
        x.name for x in [*weak, *strong, *scaling.series("wan2_1_t2v_14b")["weak"]]
    }
    assert names >= set(scaling.SAME)


def test_a_ring_or_the_last_gibibyte_is_taken_only_in_need(monkeypatch):
    ring = estimate(1.0, context=16, ulysses=8)
    tight, plain = estimate(2.0, spare=0.5, fsdp=16), estimate(3.0, fsdp=16)
    settings = dataclasses.make_dataclass("Settings", [("data", object)])
    data = dataclasses.make_dataclass("Data", [("global_batch", int)])
    step = dataclasses.make_dataclass("Step", [("global_batch", int)])
    problem = dataclasses.make_dataclass(
        "Problem", ["settings", "step", "topology", "slices"]
    )
    whole = problem(settings(data(1)), step(1), "v5p:2x2x4", 1)
    monkeypatch.setattr(scaling, "traced", lambda model: whole)
    seen = []

    def search(found, problem):
        seen.append((problem.settings.data.global_batch, problem.topology))
        return found

    for n, (found, best) in enumerate(
        [([ring, tight, plain], plain), ([ring, tight], ring)]
    ):
        monkeypatch.setattr(
            scaling.search,
            "search",
            lambda problem, found=found: search(found, problem),
        )
        point = Point(model="none", chips=64, clips=n + 2)
        assert scaling.choose.__wrapped__(point) is best
    assert seen == [(2, "v5p:4x4x4"), (3, "v5p:4x4x4")]


def test_estimates_and_compiled_steps_stand_in_one_table(monkeypatch):
    point = Point(model="wan2_1_t2v_14b", chips=64, clips=16)
    record = {
        "row": {"case": point.name},
        "overrides": ["mesh.fsdp=64", "model.remat=full", "optimizer.microbatches=2"],
        "exposed_seconds": 1.0,
        "step_seconds": 3.0,
        "mfu": 0.4,
        "collective_bytes": 3e9,
        "report": {
            "axes": {"fsdp": 64, "context": 1},
            "cycles": 3.5e9,
            "peak_bytes": 2**31,
        },
    }
    monkeypatch.setattr(scaling.records, "read", lambda path: {"": record})
    monkeypatch.setattr(scaling, "choose", lambda point: estimate(2.0, fsdp=64))
    monkeypatch.setattr(scaling, "costs", scaling.costs.__wrapped__)
    (aot,) = scaling.compiled(point)
    assert aot.cells == [
        *("fsdp=64, full, 2 parts", "3.50", "1.00", "3.00"),
        *("40.0%", "2.0", "3.0", "AOT"),
    ]
    table = scaling.table(point.model)
    assert table.count("| AOT |") == 1 and table.count("| analytic |") == 18
    monkeypatch.setattr(scaling_plot, "costs", scaling.costs)
    svg = scaling_plot.draw([point.model])
    assert svg.startswith("<svg") and "a clip for 4 chips" in svg


def test_what_was_not_compiled_has_no_row(monkeypatch):
    monkeypatch.setattr(scaling.records, "read", lambda path: {})
    assert not list(scaling.compiled(Point(model="x", chips=16, clips=4)))
    with pytest.raises(KeyError, match="17 chips"):
        scaling.main(["wan2_1_t2v_14b 17 chips 4 clips"])
