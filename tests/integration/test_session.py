"""The session holds the parts that the doors use: same batches, same losses."""

import inspect

import jax
import numpy as np
import pytest
from doors import ROOT, losses, overrides, succeed, train_command

from videogen.core.errors import ConfigError, DataError
from videogen.session import Session

CONFIG = str(ROOT / "configs/quickstart.py")
STEPS = 3


@pytest.fixture(scope="module")
def session(dataset):
    """Untouched by the tests: one that steps makes its own."""
    return Session(CONFIG, *overrides(dataset))


@pytest.fixture(scope="module")
def workdir(dataset, tmp_path_factory):
    """What the train door leaves after STEPS steps."""
    directory = tmp_path_factory.mktemp("session") / "w"
    steps = (f"train.steps={STEPS}", "train.checkpoint_every=1")
    succeed(train_command(dataset, directory, *steps))
    return directory


def same(ours, theirs):
    jax.tree.map(np.testing.assert_array_equal, ours, theirs)


def test_a_batch_is_a_function_of_the_step(session):
    doors = session.run.feed.train_batches(0)
    batches = [next(doors) for _ in range(3)]
    for step in (2, 0, 1):
        same(session.batch(step), batches[step])
    same(session.batch(), batches[0])


def test_the_loss_can_be_asked_for_without_changing_anything(session):
    before = jax.device_get(session.state)
    loss = session.loss()
    assert np.isfinite(loss) and session.loss() == loss
    assert session.loss(session.batch(1)) != loss
    same(jax.device_get(session.state), before)


def test_the_same_steps_as_the_train_door_and_on_from_its_checkpoint(dataset, workdir):
    session = Session(CONFIG, *overrides(dataset))
    expected_next = {}
    for step in range(1, STEPS + 1):
        expected = session.loss()
        metrics = session.step()
        # The step's program also has the gradient's: the sums may be ordered otherwise.
        assert metrics["loss"] == pytest.approx(expected, rel=1e-5)
        assert all(type(value) is float for value in metrics.values())
        assert metrics["skipped"] == 0 and metrics["grad_norm"] > 0
        assert int(session.state.step) == step
        expected_next[step] = metrics["loss"]
    assert expected_next == losses(workdir)

    resumed = Session(CONFIG, *overrides(dataset), workdir=str(workdir))
    assert int(resumed.state.step) == STEPS
    same(resumed.state, session.state)
    assert resumed.step() == session.step()


def test_a_session_needs_a_checkpoint_in_the_workdir_it_is_given(dataset, tmp_path):
    with pytest.raises(DataError, match="holds no checkpoint: train it first"):
        Session(CONFIG, *overrides(dataset), workdir=str(tmp_path / "w"))
    assert not list(tmp_path.iterdir())


def test_a_misspelt_override_is_named(dataset):
    with pytest.raises(ConfigError, match="config.model.dpeth: no such field"):
        Session(CONFIG, "model.dpeth=3")


def test_samples_are_frames(session):
    (sample,) = session.sample("a red bicycle")
    frames = sample.frames_THWC
    latent_frames, height, width, _ = session.run.feed.latent_shape
    assert frames.shape == (1 + 4 * (latent_frames - 1), 8 * height, 8 * width, 3)
    assert frames.dtype == np.uint8
    same(session.sample("a red bicycle")[0].frames_THWC, frames)
    assert sample.sound_S is None
    assert len(session.sample()) == len(session.run.settings.sample.prompts)


def test_every_leaf_has_its_sharding(session):
    shardings = session.shardings()
    assert len(shardings) == len(jax.tree.leaves(session.state))
    assert shardings["step"] == "int32[] P()"
    for name, value in session.state.params.items():
        for tree in ("params", "ema"):
            assert shardings[f"{tree}.{name}"].startswith(
                f"float32{list(value.shape)} P("
            )
        moments = [key for key in shardings if key.endswith(f"mu.{name}")]
        assert len(moments) == 1


def test_the_docstring_names_only_what_exists(session):
    documented = inspect.getdoc(inspect.getmodule(Session)) or ""
    for name in ("loss", "step", "sample", "state", "shardings"):
        assert f"run.{name}" in documented and hasattr(session, name)
