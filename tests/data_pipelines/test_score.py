"""The table of scores: its columns, and your own among them."""

import pytest

from data_pipelines.measure import make_scorers, measured
from data_pipelines.score import columns
from data_pipelines.settings import ScoreSettings, SelectSettings
from data_pipelines.tables import Tables
from videogen.core.errors import ConfigError
from videogen.data.manifest import load_dataset

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning:apache_beam.*"),
    pytest.mark.filterwarnings("ignore::FutureWarning:apache_beam.*"),
]
TOY = """
def make():
    return lambda frames: frames[..., 0].mean() - frames[..., 1].mean()
"""


def test_the_columns_are_what_the_scorers_give(tmp_path, make_video):
    path = make_video(tmp_path / "a.mp4", [20])
    with pytest.raises(ConfigError, match="there is a column motion already"):
        columns(ScoreSettings(scorers="motion=m:f"))
    (tmp_path / "toy.py").write_text(TOY)
    settings = ScoreSettings(scorers=f"redness={tmp_path / 'toy.py'}:make")
    scorers = make_scorers(settings)
    clip = {"id": "a", "first_frame": 1, "last_frame": 12}
    ((_, measures),) = measured(str(path), [clip], scorers)
    names = ["id"]
    for scorer, of_frames in zip(scorers, measures, strict=True):
        names += scorer.summary(of_frames)
    assert names == list(columns(settings))


def test_a_score_of_your_own_selects(tmp_path, make_video, run_all):
    """The first scene is red, the second green."""
    make_video(tmp_path / "a.mp4", [60, 60])
    (tmp_path / "toy.py").write_text(TOY)
    score = ScoreSettings(scorers=f"redness={tmp_path / 'toy.py'}:make")
    out = tmp_path / "out"
    run_all(tmp_path, out, score=score, select=SelectSettings(where="redness > 0"))
    reds = [row["redness"] for row in Tables(out / "tables").read("score")]
    counts = load_dataset(out).counts
    assert counts["select.out"] == sum(red > 0 for red in reds) > 0
    assert counts["select.LOW_SCORE"] == sum(red <= 0 for red in reds) > 0


def test_a_scorer_that_cannot_be_loaded_ends_the_run(tmp_path, make_video, run_all):
    make_video(tmp_path / "a.mp4", [60])
    score = ScoreSettings(scorers="mine=no.such:make")
    with pytest.raises(ValueError, match="--scorers=mine=no.such:make.*No module"):
        run_all(tmp_path, tmp_path / "out", score=score)
