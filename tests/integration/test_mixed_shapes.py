"""Clips of many shapes from two datasets, in batches per shape and in packs, end to end."""

import contextlib
import io

import numpy as np
import pytest
from doors import ROOT, losses, overrides, succeed, train_command

from data_pipelines.synthetic import write_synthetic
from videogen import build, job
from videogen import run as runs
from videogen.core.errors import ConfigError

CONFIG = str(ROOT / "configs/quickstart.py")
STEPS = (
    "model.depth=1",
    "train.steps=4",
    "train.checkpoint_every=2",
    "train.keep_checkpoints=9",
    "validation.num_times=1",
)
DIT = {
    "family": "dit",
    "latent_channels": 16,
    "width": 48,
    "depth": 1,
    "num_heads": 4,
    "mlp_width": 96,
}
PACKS = ("data.row_tokens=32", "data.row_clips=5", "data.global_batch=4")


@pytest.fixture(scope="module")
def datasets(tmp_path_factory):
    """Videos and images of two sizes; the second dataset has fewer."""
    paths = []
    for name, num_records in (("videos", 24), ("more", 8)):
        paths.append(tmp_path_factory.mktemp(name))
        write_synthetic(
            paths[-1],
            num_records=num_records,
            latent_shape=(1, 4, 4, 16),
            more_shapes=[(3, 4, 4, 16), (2, 6, 4, 16)],
            text_length=8,
        )
    return paths


def settings(datasets, *extra):
    config = build.load_config(CONFIG)
    mix = f"data.mix=(('{datasets[1]}', 0.25),)"
    build.override(config, overrides(datasets[0], mix, *STEPS, *extra))
    return build.read(config)


def train(datasets, directory, *extra):
    with contextlib.redirect_stdout(io.StringIO()) as said:
        assert job.train(settings(datasets, *extra), directory) == 0
    return said.getvalue()


def test_packs_train_resume_validate_and_sample(datasets, tmp_path):
    more = *PACKS, "train.validate_every=4", "train.sample_every=4"
    said = train(datasets, tmp_path / "w", *more)
    assert "4 rows of 32 tokens" in said and "% full" in said
    whole = losses(tmp_path / "w")
    assert len(whole) == 4 and np.isfinite(list(whole.values())).all()
    train(datasets, tmp_path / "r", *PACKS, "train.steps=2")
    train(datasets, tmp_path / "r", *PACKS)
    assert losses(tmp_path / "r") == whole
    assert list((tmp_path / "w/samples").glob("*/0000.mp4"))


def test_batches_by_tokens(datasets, tmp_path):
    """4 tokens an image, 12 or 12 a video: batches of 24 and of 8 clips of one cost."""
    more = "data.global_batch=2", "data.batch_tokens=48", "train.steps=6"
    said = train(datasets, tmp_path, *more)
    assert "12 of f1_h4_w4" in said and "4 of f3_h4_w4" in said
    assert len(losses(tmp_path)) == 6


@pytest.mark.slow  # 40 s on two busy cores
def test_packs_on_a_mesh(datasets, tmp_path):
    """Rows over fsdp, tokens over context, heads over tensor: the same losses."""
    mix = f"data.mix=(('{datasets[1]}', 0.25),)"
    whole = tmp_path / "whole"
    train(datasets, whole, *PACKS)
    mesh = "mesh.replica=1", "mesh.fsdp=2", "mesh.context=2", "mesh.tensor=2"
    succeed(
        train_command(datasets[0], tmp_path / "cut", mix, *STEPS, *PACKS, *mesh),
        num_devices=8,
    )
    assert losses(tmp_path / "cut") == pytest.approx(losses(whole), rel=2e-5)


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (
            ("data.row_tokens=8",),
            r"row_tokens=8, but a clip of bucket .* has 12 tokens",
        ),
        (("data.row_tokens=32", "tasks.i2v=1.0"), "do not go with config.tasks"),
        (("data.row_tokens=32", "model.given_channels=17"), "model.given_channels"),
        (("data.row_tokens=32", "data.row_text_tokens=99"), "at least 128 would work"),
        (
            (
                "data.row_tokens=32",
                "model.position=learned",
                "model.position_sizes=(2,9,9)",
            ),
            r"position_sizes=\(2, 9, 9\), but clips of bucket f3_h4_w4",
        ),
        (
            ("tasks.i2v=1.0", "tasks.how=clean", "time.within=(0.5,1.0)"),
            "leave one out",
        ),
        (("data.row_tokens=32", "data.batch_tokens=9"), "leave one out"),
        (("data.row_tokens=32", f"model={DIT}"), "'cross' does"),
    ],
)
def test_impossible_packs_are_one_line(datasets, extra, message):
    with pytest.raises(ConfigError, match=message):
        runs.make(settings(datasets, *extra))
