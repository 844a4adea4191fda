"""What can be seen to be wrong is told before the first phase, by `all`."""

import pytest

from data_pipelines.captioning.clip_settings import ClipCaptionSettings
from data_pipelines.encode_settings import EncodeSettings
from data_pipelines.settings import ScoreSettings, SelectSettings

ASKED = {"captioner": "http://host/v1", "caption_model": "m"}


@pytest.mark.parametrize(
    "phase, wrong, words",
    [
        ("select", SelectSettings(where="motoin > 3"), "did you mean 'motion'"),
        ("score", ScoreSettings(scorers="motion=m:f"), "a column motion already"),
        (
            "encode",
            EncodeSettings(text_encoder="t5:/no"),
            "--text-encoder=t5:/no: .*json",
        ),
        ("encode", EncodeSettings(text_encoder="hf:/no"), "no /no/config.json"),
        ("encode", EncodeSettings(tokenizer_from="/no"), "/no: no dataset.json"),
        (
            "caption-clips",
            ClipCaptionSettings(**ASKED | {"captioner": "host:8000"}),
            "http://host:8000/v1 would work",
        ),
        (
            "caption-clips",
            ClipCaptionSettings(**ASKED, caption_key_env="NO_SUCH"),
            "no environment variable 'NO_SUCH'",
        ),
    ],
)
def test_it_is_told_before_any_work(tmp_path, run_all, phase, wrong, words):
    """There is not even a video to work on."""
    with pytest.raises(ValueError, match=words):
        run_all(tmp_path, tmp_path / "out", **{phase: wrong})
    assert not (tmp_path / "out").exists()


def test_scores_of_your_own_may_be_asked_for(tmp_path, run_all):
    """It comes as far as looking for videos."""
    own = {"score": ScoreSettings(scorers="mine=m:f")}
    where = {
        "select": SelectSettings(where="mine > 3 and seconds < 9 and group != 'a'")
    }
    with pytest.raises(ValueError, match="holds no video"):
        run_all(tmp_path, tmp_path / "out", **own, **where)


def test_a_finished_dataset_needs_no_encoder(tmp_path, make_video, run_all):
    """Its folder may be gone."""
    make_video(tmp_path / "a.mp4", [60])
    out = tmp_path / "out"
    first, _ = run_all(tmp_path, out)
    settings = EncodeSettings(
        buckets="9x32x48", text_encoder="hash", shard_mib=0.011, tokenizer_from=str(out)
    )
    second = tmp_path / "second"
    run_all(tmp_path, second, encode=settings)
    out.rename(tmp_path / "gone")
    info, there = run_all(tmp_path, second, encode=settings)
    assert there and info.counts == first.counts
