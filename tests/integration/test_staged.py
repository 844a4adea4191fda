"""Stages in one workdir: a resume anywhere repeats the uninterrupted run, bit for bit."""

import contextlib
import io
import json
import shutil
import signal

import jax
import numpy as np
import pytest
from doors import ROOT, command, losses, overrides, succeed

from data_pipelines.synthetic import write_synthetic
from videogen import build, handover, job, stages, start, workdir
from videogen import run as runs
from videogen.core.errors import ConfigError

CONFIG = str(ROOT / "configs/quickstart.py")
LEARNED = ("model.depth=1", "model.position=learned", "model.position_sizes=(3,2,2)")
TIMES = (
    "train.steps=10",
    "train.checkpoint_every=2",
    "train.keep_checkpoints=9",
    "train.validate_every=2",
    "validation.batch_size=4",
    "validation.num_times=2",
)


@pytest.fixture(scope="module")
def longer(tmp_path_factory):
    """Clips of more frames than those of `dataset`."""
    directory = tmp_path_factory.mktemp("longer")
    shape = (5, 4, 4, 16)
    write_synthetic(
        directory, num_records=24, latent_shape=shape, seed=1, text_length=8
    )
    return directory


def recipe(longer):
    """Four steps, then six on longer clips, with a cut of the rate at each validation."""
    second = {
        "name": "longer",
        "steps": 6,
        "data.path": str(longer),
        "data.global_batch": 4,
        "data.batch_ramp": ((3, 2),),
        "model.position_sizes": (5, 2, 2),
        "init_positions": "extend",
        "optimizer.learning_rate": 0.5,  # too much: it is cut
        "plateau.factor": 0.5,
        "plateau.patience": 1,
        "time.shift": 3.0,
    }
    first = {"name": "short", "steps": 4, "data.text_dropout": 0.5}
    return (*LEARNED, *TIMES, f"stages={(first, second)!r}")


@pytest.fixture(scope="module")
def straight(dataset, longer, tmp_path_factory):
    """(the run that nothing interrupts, what it printed)."""
    directory = tmp_path_factory.mktemp("staged") / "w"
    return directory, train(dataset, longer, directory)


def train(dataset, longer, directory):
    """What the job prints."""
    said = io.StringIO()
    handlers = {
        name: signal.getsignal(name) for name in (signal.SIGINT, signal.SIGTERM)
    }
    with contextlib.redirect_stdout(said):
        assert job.train(settings(dataset, *recipe(longer)), directory) == 0
    for name, handler in handlers.items():
        signal.signal(name, handler)
    return said.getvalue()


def settings(dataset, *extra):
    config = build.load_config(CONFIG)
    build.override(config, overrides(dataset, *extra))
    return build.read(config)


def state_of(dataset, longer, directory):
    whole = settings(dataset, *recipe(longer))
    run = runs.make(workdir.stage_of(whole, directory))
    return start.restore(run, directory)[0]


def rates(directory):
    rows = map(json.loads, (directory / "metrics.jsonl").read_text().splitlines())
    return {r["step"]: r["learning_rate"] for r in rows if r["split"] == "train"}


def test_each_stage_trains_as_it_says(straight):
    directory, said = straight
    assert "stage short, from step 0" in said and "stage longer, from step 4" in said
    assert sorted(losses(directory)) == list(range(1, 11))
    rate = rates(directory)
    assert rate[4] == pytest.approx(1e-3) and rate[5] == pytest.approx(0.5)
    cuts = np.log2([0.5 / rate[step] for step in (8, 9)])
    np.testing.assert_allclose(cuts, np.round(cuts), atol=1e-5)
    assert cuts[-1] >= 1
    assert np.isfinite(list(losses(directory).values())).all()


@pytest.mark.parametrize("step", [2, 4, 6, 8])
def test_a_resume_in_any_stage_is_exact(dataset, longer, straight, tmp_path, step):
    copy = tmp_path / "w"
    shutil.copytree(straight[0], copy)
    for checkpoint in (copy / "checkpoints").iterdir():
        if int(checkpoint.name) > step:
            shutil.rmtree(checkpoint)
    (copy / "metrics.jsonl").unlink()
    assert f"resuming at step {step}" in train(dataset, longer, copy)
    after = range(step + 1, 11)
    assert losses(copy) == {s: losses(straight[0])[s] for s in after}
    assert rates(copy) == {s: rates(straight[0])[s] for s in after}
    ours, theirs = (state_of(dataset, longer, d) for d in (copy, straight[0]))
    jax.tree.map(np.testing.assert_array_equal, ours, theirs)


@pytest.mark.slow  # 20 s
def test_the_sample_door_finds_the_newest_stage(straight, tmp_path):
    argv = [*command("sample"), f"--workdir={straight[0]}", f"--out={tmp_path}"]
    assert "by step 10" in succeed(argv)


def test_moments_and_averages_carry_over(dataset, longer):
    """Tables grow, in the moments by zeros; all else is as it was."""
    first, second = (
        runs.make(s) for s in stages.of(settings(dataset, *recipe(longer)))
    )
    state = first.init()
    ones = jax.tree.map(lambda x: x + 1, state.opt_state)
    state = jax.device_get(
        type(state)(**{**vars(state), "opt_state": ones, "plateau": {}})
    )
    before = handover.flat(vars(state))
    after = handover.flat(vars(handover.hand_over(state, first, second)))
    fresh = handover.flat(vars(second.init()))
    for path, value in after.items():
        if path.startswith("plateau"):
            continue
        if not path.endswith("positions.frames"):
            np.testing.assert_array_equal(value, before[path], err_msg=path)
            continue
        np.testing.assert_array_equal(value[:3], before[path], err_msg=path)
        np.testing.assert_array_equal(value[3:], fresh[path][3:], err_msg=path)
    assert int(after["plateau.seen"]) == 4 and float(after["plateau.scale"]) == 1.0


def test_a_model_that_changes_without_a_rule_is_named(dataset):
    made = ({"steps": 4}, {"steps": 6, "model.mlp_width": 112})
    whole = settings(dataset, *LEARNED, "train.steps=10", f"stages={made!r}")
    first, second = (runs.make(s) for s in stages.of(whole))
    with pytest.raises(
        ConfigError, match=r"config.stages\[1\].*ffn.down.kernel is 1x96"
    ):
        handover.compare(first, second)
