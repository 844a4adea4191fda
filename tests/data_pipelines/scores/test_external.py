"""Scores of your own: found by name, fed RGB frames, refused in one line."""

import numpy as np
import pytest

from data_pipelines.scores.external import External
from data_pipelines.settings import ScoreSettings
from videogen.core.errors import ConfigError

REDNESS = """
def make():
    def redness(frames):
        assert frames.shape[0] == 8 and frames.dtype == "uint8"
        return frames[..., 0].mean() / 255
    return redness
"""


def test_a_file_is_loaded_and_asked(tmp_path, score):
    path = tmp_path / "toy.py"
    path.write_text(REDNESS)
    scorer = External("redness", f"{path}:make")
    red = np.zeros((32, 48, 3), np.uint8)
    red[..., 0] = 255
    assert score(scorer, [red] * 8)["redness"] == pytest.approx(1.0, abs=0.02)
    assert score(scorer, [red * 0] * 8)["redness"] == pytest.approx(0.0, abs=0.02)


@pytest.mark.parametrize(
    "entry, word",
    [
        ("no.such.module:make", "No module named 'no'"),
        ("/no/such/file.py:make", "no file"),
        ("json:make", "has no attribute 'make'"),
    ],
)
def test_what_cannot_be_loaded_is_told(entry, word):
    with pytest.raises(ConfigError, match=f"--scorers=mine={entry}: .*{word}"):
        External("mine", entry)


def test_flags_name_columns():
    settings = ScoreSettings(scorers="a=m:f,b=/x/y.py:g")
    assert settings.named_scorers() == {"a": "m:f", "b": "/x/y.py:g"}
    for bad in ("a", "a=m", "1=m:f", "a b=m:f"):
        with pytest.raises(ConfigError, match="name=module:function would work"):
            ScoreSettings(scorers=bad)


def test_an_edited_scorer_is_another_one(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "my_scores").mkdir()
    (tmp_path / "my_scores" / "__init__.py").touch()
    places = {"my_scores.red": tmp_path / "my_scores" / "red.py"}
    places[str(tmp_path / "toy.py")] = tmp_path / "toy.py"
    settings = ScoreSettings(scorers=",".join(f"s{len(p)}={p}:make" for p in places))
    assert settings.files() == {}  # scoring tells what is missing
    for path in places.values():
        path.write_text(REDNESS)
    before = settings.files()["scorer_files"]
    assert before.keys() == places.keys() and len(set(before.values())) == 1
    for place, path in places.items():
        path.write_text(REDNESS + "# another")
        after = settings.files()["scorer_files"]
        assert after[place] != before[place]
        before[place] = after[place]
        assert after == before
    built_in = ScoreSettings(scorers="a=sys:make,b=no.such.module:make")
    assert built_in.files() == {}
