"""Their step beside ours: what is left out of it, and what is compared."""

import importlib
import sys

from benchmarks import aot, aot_peer, records
from benchmarks.aot_peer_case import ABSENT, Absent


def test_only_what_no_step_runs_is_made_up(monkeypatch):
    finder = Absent()
    monkeypatch.setattr(sys, "meta_path", [finder, *sys.meta_path])
    monkeypatch.setattr(sys, "modules", dict(sys.modules))
    assert all(finder.find_spec(name) for name in (*ABSENT, "aqt.jax.v2"))
    assert not any(map(finder.find_spec, ("jax", "maxdiffusion", "torchvision")))
    module = importlib.import_module("skimage.metrics")
    made = module.Structural
    assert made[int] is made and made(1, name=2) is not None
    assert (made | None) is made and made.Inner.__name__ == "Inner"
    assert not hasattr(made, "__wrapped__")  # what inspect would follow for ever


def test_each_stands_beside_a_case_of_ours_of_the_same_model():
    assert aot_peer.PEERS.keys() <= aot.CASES.keys()
    for name, peer in aot_peer.PEERS.items():
        size = peer.config.removeprefix("base_wan_").removesuffix(".yml")
        assert f"wan2_1_t2v_{size} " in name


def test_the_readme_has_a_place_for_the_table():
    text = (records.ROOT / "README.md").read_text()
    assert "<!-- aot-peer:begin -->" in text and "<!-- aot-peer:end -->" in text


def test_a_row_of_each(monkeypatch, tmp_path):
    record = {
        **{"step_seconds": 1.0, "mfu": 0.5, "exposed_seconds": 0.25},
        **{"collective_bytes": 3e9, "report": {"peak_bytes": 2**31}},
    }
    name = next(iter(aot_peer.PEERS))
    for module, results in ((aot, "RESULTS"), (aot_peer, "LEAN_RESULTS")):
        monkeypatch.setattr(module, results, tmp_path / f"{results}.jsonl")
    monkeypatch.setattr(aot_peer, "RESULTS", tmp_path / "theirs.jsonl")
    (tmp_path / "README.md").write_text(
        "<!-- aot-peer:begin -->\n<!-- aot-peer:end -->"
    )
    monkeypatch.setattr(aot_peer.records, "ROOT", tmp_path)
    monkeypatch.setattr(aot, "figures", lambda case: {**record, "of": case.overrides})
    monkeypatch.setattr(aot_peer, "figures", lambda *_: record)
    records.append(aot.RESULTS, {"row": {"case": name}, **record})
    aot_peer.main("checkout", name)
    (lean,) = records.read(aot_peer.LEAN_RESULTS).values()
    assert lean["of"] == [*aot.CASES[name].overrides, *aot_peer.LEAN]
    cells = "1.00 | 50.0% | 0.25 | 2.0 | 3"
    table = (tmp_path / "README.md").read_text()
    for whose in ("ours", "ours, lean", "theirs"):
        assert f"| {name} | {whose} | {cells} |" in table
