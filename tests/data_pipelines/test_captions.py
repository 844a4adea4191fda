"""Sidecars: what they may say, and which caption a clip gets."""

import json

import pytest

from data_pipelines.captions import NO_LABEL, Captions, read_sidecar
from data_pipelines.quarantine import Reject


def sidecar(tmp_path, content, suffix=".json"):
    path = tmp_path / f"a{suffix}"
    path.write_text(content if suffix == ".txt" else json.dumps(content))
    return str(path)


def test_no_sidecar_is_a_null_caption():
    assert read_sidecar(None) == Captions()
    assert Captions().at(0.0, 1.0) is None


def test_text_is_the_caption(tmp_path):
    captions = read_sidecar(sidecar(tmp_path, " a red bicycle\n", ".txt"))
    assert captions.at(0.0, 1.0) == "a red bicycle"
    assert captions.label == NO_LABEL


def test_empty_text_is_a_null_caption(tmp_path):
    assert read_sidecar(sidecar(tmp_path, " \n", ".txt")).at(0.0, 1.0) is None


def test_a_clip_takes_the_span_it_overlaps_most(tmp_path):
    spans = [
        {"start_s": 0.0, "end_s": 1.0, "caption": "first"},
        {"start_s": 1.0, "end_s": 2.0, "caption": "second"},
    ]
    content = {"caption": "whole", "label": 3, "shots": spans}
    captions = read_sidecar(sidecar(tmp_path, content))
    assert captions.label == 3
    assert captions.at(0.0, 0.9) == "first"
    assert captions.at(0.2, 1.1) == "first"
    assert captions.at(0.9, 1.5) == "second"
    assert captions.at(2.0, 3.0) == "whole"


@pytest.mark.parametrize(
    "content, word",
    [
        ({"captoin": "a"}, "captoin"),
        ({"caption": 3}, "caption=3"),
        ({"label": "cat"}, "label"),
        ({"label": True}, "label"),
        ({"shots": [{"start_s": 1.0, "end_s": 1.0, "caption": "a"}]}, "empty"),
        ({"shots": [{"caption": "a"}]}, "start_s"),
        (["a"], "object"),
        ({"caption": "half a \ud800"}, "can't encode"),
        ({"shots": [{"start_s": 0, "end_s": 1, "caption": "\ud800"}]}, "encode"),
        ({"shots": [{"start_s": 0, "end_s": 10**400, "caption": "a"}]}, "too large"),
        ({"label": 2**63}, "label"),
    ],
)
def test_a_sidecar_that_cannot_be_meant_is_refused(tmp_path, content, word):
    with pytest.raises(Reject, match=word) as caught:
        read_sidecar(sidecar(tmp_path, content))
    assert caught.value.code == "BAD_SIDECAR"


def test_broken_json_is_refused(tmp_path):
    path = tmp_path / "a.json"
    path.write_text("{")
    with pytest.raises(Reject) as caught:
        read_sidecar(str(path))
    assert caught.value.code == "BAD_SIDECAR"


def test_a_sidecar_that_is_out_of_reach_is_no_verdict(tmp_path):
    with pytest.raises(Reject) as caught:
        read_sidecar(str(tmp_path / "a.json"))
    assert caught.value.code == "IO"
