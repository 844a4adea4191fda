"""A dataset that got new captions: jobs on the old ones go on, new ones train on either."""

import json
import shutil

import numpy as np
import pytest
from doors import ROOT, overrides

from data_pipelines.captioning.caption import caption
from data_pipelines.captioning.settings import CaptionSettings
from videogen import build, run
from videogen.core.errors import ConfigError
from videogen.data.source import open_dataset

CONFIG = str(ROOT / "configs/quickstart.py")
UNPROMPTED = "sample.prompts=()"


def feed_of(dataset, *extra):
    config = build.load_config(CONFIG)
    build.override(config, overrides(dataset, "data.text_dropout=0.0", *extra))
    return run.make(build.read(config)).feed


@pytest.fixture(scope="module")
def feeds(dataset, tmp_path_factory):
    """(feed before, the dataset with v2 beside v1)."""
    folder = tmp_path_factory.mktemp("recaptioned")
    ours = shutil.copytree(dataset, folder / "set")
    before = feed_of(ours, UNPROMPTED)
    lines = [
        json.dumps({"id": source[row].latent.id, "caption": f"another {row}"})
        for split in ("train", "validation")
        for source in open_dataset(ours).sources(split)
        for row in range(len(source))
    ]
    (folder / "v2.jsonl").write_text("\n".join(lines))
    settings = CaptionSettings(version="v2", from_file=str(folder / "v2.jsonl"))
    caption(ours, settings, say=lambda line: None)
    return before, ours


def batches(feed, count=3):
    return [dict(batch) for batch in feed.train_batches(0, count)]


def check_same(ours, theirs):
    for batch, other in zip(ours, theirs, strict=True):
        for name in batch:
            np.testing.assert_array_equal(batch[name], other[name])


def test_a_job_on_the_old_captions_goes_on(feeds):
    before, dataset = feeds
    after = feed_of(dataset, UNPROMPTED)
    assert after.identity == before.identity
    assert after.captions == before.captions
    check_same(batches(after), batches(before))


def test_a_mix_changes_the_texts_and_nothing_else(feeds):
    before, dataset = feeds
    mixed = feed_of(dataset, "data.text_mix=(('v2',0.5),)")
    only = feed_of(dataset, "data.text_version=v2", UNPROMPTED)
    assert mixed.identity == only.identity == before.identity
    assert all(caption.startswith("another") for caption in only.captions)
    firsts, seconds = batches(before), batches(only)
    for step, batch in enumerate(batches(mixed)):
        chosen_B = mixed.conditioning.chosen(step, np.arange(8))
        for row, text in enumerate(chosen_B):
            source = (firsts, seconds)[text][step]
            np.testing.assert_array_equal(
                batch["text_BLD"][row], source["text_BLD"][row]
            )
        np.testing.assert_array_equal(batch["id_B"], firsts[step]["id_B"])
        assert 0 < chosen_B.sum() < 8 or step  # both are drawn


@pytest.mark.parametrize(
    ("field", "said"),
    [
        (
            "data.text_mix=(('v9',0.5),)",
            "config.data.text_mix=(('v9', 0.5),): 'v9' is not",
        ),
        ("data.text_mix=(('v1',0.5),)", "names a version twice"),
        ("data.text_mix=(('v2',0.6),('v3',0.6))", "add up to at most 1"),
        ("data.text_mix=(('v2',0.0),)", "must be positive"),
        ("data.text_version=v9", "config.data.text_version='v9': 'v9' is not in"),
    ],
)
def test_a_mix_that_cannot_be(feeds, field, said):
    with pytest.raises(ConfigError) as error:
        feed_of(feeds[1], field)
    assert said in str(error.value) and "\n" not in str(error.value)


def test_texts_of_two_encoders_are_not_mixed(feeds, tmp_path):
    dataset = shutil.copytree(feeds[1], tmp_path / "set")
    (tmp_path / "v3.csv").write_text("id,caption\n")
    settings = CaptionSettings(
        version="v3",
        from_file=str(tmp_path / "v3.csv"),
        max_failures=1.0,
        text_encoder="hash",
        text_length=5,
    )
    caption(dataset, settings, say=lambda line: None)
    with pytest.raises(
        ConfigError, match="text v3 of .* is of another encoder than text v1"
    ):
        feed_of(dataset, "data.text_mix=(('v3',0.5),)")
