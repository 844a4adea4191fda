"""kill -9 loses the steps since the last checkpoint and nothing else, bit for bit."""

import random
import re
import signal
import subprocess
import time
import warnings

import jax
import numpy as np
import pytest
from doors import (
    ROOT,
    TIMEOUT_SECONDS,
    environment,
    losses,
    succeed,
    train_command,
)
from orbax.checkpoint import v1 as ocp


def final_state(workdir):
    """{dotted path: array} of the newest checkpoint."""
    steps = [int(d.name) for d in (workdir / "checkpoints").iterdir()]
    with warnings.catch_warnings():
        # Orbax: reading without shardings is slower. It is what this asks for.
        warnings.simplefilter("ignore", UserWarning)
        tree = ocp.load(workdir / "checkpoints" / str(max(steps)))
    leaves = jax.tree.leaves_with_path(tree)
    return {jax.tree_util.keystr(path): np.asarray(leaf) for path, leaf in leaves}


def stop_when(argv, ready, with_signal=signal.SIGKILL):
    """Starts a run, signals it as soon as `ready()`; returns its exit code."""
    process = subprocess.Popen(
        argv, cwd=ROOT, env=environment(), stdout=subprocess.DEVNULL
    )
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while process.poll() is None and not ready():
        assert time.monotonic() < deadline, "the run did not get there"
        time.sleep(0.002)
    process.send_signal(with_signal)
    return process.wait(TIMEOUT_SECONDS)


def logged(workdir, num_lines):
    """Whether the run has logged that many steps."""
    path = workdir / "metrics.jsonl"
    return path.exists() and path.read_bytes().count(b"\n") >= num_lines


@pytest.fixture(scope="module")
def straight(dataset, tmp_path_factory):
    """The run that nothing interrupts."""
    workdir = tmp_path_factory.mktemp("straight")
    succeed(train_command(dataset, workdir))
    return workdir


def same(resumed, straight):
    assert losses(resumed) == losses(straight)
    ours, theirs = final_state(resumed), final_state(straight)
    assert ours.keys() == theirs.keys()
    for name, value in ours.items():
        np.testing.assert_array_equal(value, theirs[name], err_msg=name)


def test_20_steps_equal_10_kill_9_resume_10(dataset, straight, tmp_path):
    workdir = tmp_path / "w"
    argv = train_command(dataset, workdir)
    committed = workdir / "checkpoints" / "10" / "commit_success.txt"
    assert stop_when(argv, committed.exists) == -signal.SIGKILL
    assert "resuming at step 1" in succeed(argv)  # 10, or 15 if it was that quick
    same(workdir, straight)
    assert len(losses(workdir)) == 20


@pytest.mark.slow  # 110 s on two busy cores
def test_kill_9_at_three_random_moments(dataset, straight, tmp_path):
    seed = random.SystemRandom().randrange(10**6)
    print(f"seed {seed}")  # pytest shows it when the test fails
    argv = train_command(dataset, tmp_path)
    for moment in sorted(random.Random(seed).sample(range(1, 20), 3)):
        stop_when(argv, lambda moment=moment: logged(tmp_path, moment))
    succeed(argv)
    same(tmp_path, straight)


def test_a_finished_run_does_nothing_and_more_steps_continue(
    dataset, straight, tmp_path
):
    before = losses(straight)
    assert "step 20 of 20: nothing to do" in succeed(train_command(dataset, straight))
    assert losses(straight) == before


@pytest.mark.parametrize("asked", [signal.SIGTERM, signal.SIGINT])
def test_asked_to_stop_it_saves_and_exits_42(dataset, straight, tmp_path, asked):
    argv = train_command(dataset, tmp_path, "train.checkpoint_every=1000")
    assert stop_when(argv, lambda: logged(tmp_path, 1), asked) == 42
    assert "resuming at step" in succeed(argv)
    same(tmp_path, straight)


def test_init_from_loads_the_weights_and_says_so(dataset, straight, tmp_path):
    start = (f"init_from={straight}", "train.steps=1")
    out = succeed(train_command(dataset, tmp_path / "w", *start))
    assert f"starting from the weights of {straight}/checkpoints/20" in out
    assert re.search(r"^  loaded: \d+ leaves", out, re.MULTILINE)
