"""A folder of images and a folder of videos: two datasets, trained on together by a share."""

import collections

import numpy as np
import pytest
from doors import ROOT, losses, overrides
from PIL import Image

from data_pipelines.encode_settings import EncodeSettings
from videogen import build, job
from videogen import run as runs
from videogen.core.errors import ConfigError

# Beam's own; nothing of ours is hidden.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning:apache_beam.*"),
    pytest.mark.filterwarnings("ignore::FutureWarning:apache_beam.*"),
]
SHARE = 0.3
ENCODE = {"text_encoder": "hash", "shard_mib": 0.011}


@pytest.fixture(scope="module")
def datasets(tmp_path_factory, make_video, run_all):
    """(of 3 videos, of 10 images)."""
    root = tmp_path_factory.mktemp("mix")
    for name in ("clips", "pictures"):
        (root / name).mkdir()
    for number in range(3):
        make_video(root / "clips" / f"{number}.mp4", [48], first=9 * number)
        (root / "clips" / f"{number}.txt").write_text(f"film {number}")
    for number in range(10):
        pixels = np.full((64, 96, 3), 20 * number, np.uint8)
        pixels[8:24, 4 * number : 4 * number + 16] = 255
        Image.fromarray(pixels).save(root / "pictures" / f"{number}.png")
        (root / "pictures" / f"{number}.txt").write_text(f"picture {number}")
    videos, images = root / "videos", root / "images"
    of_videos = EncodeSettings(buckets="9x32x48", **ENCODE)
    run_all(root / "clips", videos, encode=of_videos)
    own = {"buckets": "1x32x48", "tokenizer_from": str(videos)}
    run_all(root / "pictures", images, encode=EncodeSettings(**ENCODE, **own))
    return videos, images


def settings(datasets, *extra):
    videos, images = datasets
    config = build.load_config(str(ROOT / "configs/quickstart.py"))
    mix = f"data.mix=(('{images}', {SHARE}),)"
    fields = "data.global_batch=2", "model.depth=1", "train.checkpoint_every=100"
    build.override(config, overrides(videos, mix, *fields, *extra))
    return build.read(config)


@pytest.mark.slow  # 20 s
def test_both_are_drawn_as_often_as_asked_and_a_step_is_taken_on_each(
    datasets, tmp_path
):
    feed = runs.make(settings(datasets)).feed
    frames = [bucket.latent_shape[0] for bucket in feed.plan.buckets]
    assert frames == [3, 1]
    drawn, seen = collections.Counter(), collections.defaultdict(set)
    for step in range(200):
        bucket, rows = feed.plan.batch(step)
        drawn[bucket] += len(rows)
        seen[bucket].update(rows.tolist())
    assert drawn[1] / drawn.total() == pytest.approx(SHARE, abs=0.02)
    for bucket, source in enumerate(feed.train):
        assert seen[bucket] == set(range(len(source)))
    first = [feed.plan.batch(step)[0] for step in range(20)]
    steps = 1 + max(first.index(0), first.index(1))
    shapes = {batch["latent_BFHWC"].shape for batch in feed.train_batches(0, steps)}
    assert shapes == {(2, 3, 4, 6, 16), (2, 1, 4, 6, 16)}
    assert job.train(settings(datasets, f"train.steps={steps}"), tmp_path) == 0
    found = losses(tmp_path)
    assert len(found) == steps and np.isfinite(list(found.values())).all()


def test_a_tokenizer_of_its_own_does_not_mix(datasets, tmp_path, run_all):
    videos, _ = datasets
    pictures = videos.parent / "pictures"
    run_all(
        pictures, tmp_path / "set", encode=EncodeSettings(buckets="1x32x48", **ENCODE)
    )
    with pytest.raises(
        ConfigError, match=r"data\.mix: .*another tokenizer.*--tokenizer-from"
    ):
        runs.make(settings((videos, tmp_path / "set")))
