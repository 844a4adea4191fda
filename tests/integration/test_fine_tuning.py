"""Some parameters train, or adapters beside them; the others stay, bit for bit."""

import json
import shutil

import jax
import numpy as np
import pytest
from doors import ROOT, command, losses, overrides, succeed, train_command

from videogen import build, start, workdir
from videogen import run as runs
from videogen.core.errors import ConfigError, DataError

CONFIG = str(ROOT / "configs/quickstart.py")
LORA = ("lora.rank=2", "lora.targets=('attn1','ffn.up')")
TIMES = ("train.steps=2", "train.checkpoint_every=1", "train.validate_every=1")


def make(dataset, *extra):
    config = build.load_config(CONFIG)
    build.override(config, overrides(dataset, "model.depth=1", *extra))
    return runs.make(build.read(config))


@pytest.fixture(scope="module")
def base(dataset, tmp_path_factory):
    """A workdir of two steps."""
    directory = tmp_path_factory.mktemp("base") / "w"
    succeed(train_command(dataset, directory, "model.depth=1", *TIMES))
    return directory


def names(tree):
    return {jax.tree_util.keystr(path) for path, _ in jax.tree.leaves_with_path(tree)}


def test_only_what_is_named_trains(dataset):
    run = make(dataset, "optimizer.train_only=('attn2','^patch')")
    state = run.init()
    trained = {"patch_embedding.kernel", "patch_embedding.bias"}
    assert {p for p in state.params if "attn2" not in p} == trained
    assert not [name for name in names(state.opt_state) if "ffn" in name]
    before = jax.device_get(state.weights)
    assert before.keys() == run.network.abstract().keys()
    batches = run.feed.train_batches(0, 2)
    for batch in batches:
        state, metrics = run.step(state, batch)
    assert np.isfinite(metrics["loss"])
    after = state.weights
    for path in state.frozen:
        np.testing.assert_array_equal(after[path], before[path], err_msg=path)
    # The last layer starts at zero and stays: no gradient reaches the others.
    assert state.ema.keys() == state.params.keys()


def test_a_pattern_that_finds_nothing_is_named(dataset):
    with pytest.raises(ConfigError, match="config.optimizer.train_only: 'atn'"):
        make(dataset, "optimizer.train_only=('atn',)")


def test_the_first_loss_of_adapters_is_the_base_s(dataset, base):
    plain = make(dataset, f"init_from={base}")
    adapted = make(dataset, f"init_from={base}", *LORA)
    losses = []
    for run in (plain, adapted):
        state = start.with_weights(run, run.init(), start.find_weights(run))
        batch = next(run.feed.train_batches(0, 1))
        losses.append(float(run.step(state, batch)[1]["loss"]))
    assert losses[0] == losses[1]


@pytest.fixture(scope="module")
def tuned(dataset, base, tmp_path_factory):
    """A workdir of four steps of adapters beside the base."""
    directory = tmp_path_factory.mktemp("tuned") / "w"
    fields = (*TIMES, "train.steps=4", "train.checkpoint_every=2", f"init_from={base}")
    argv = train_command(dataset, directory, "model.depth=1", *fields, *LORA)
    said = succeed(argv)
    assert "of them trained)" in said and "loaded:" in said
    return directory, argv


def test_only_adapters_are_saved(tuned, base):
    def size(directory):
        return sum(f.stat().st_size for f in directory.rglob("*") if f.is_file())

    (newest,) = tuned[0].glob("checkpoints/4")
    assert size(newest) < 0.5 * size(base / "checkpoints" / "2")


def test_adapters_resume_bit_for_bit_and_sample(dataset, base, tuned, tmp_path):
    directory, argv = tuned
    copy = tmp_path / "w"
    shutil.copytree(directory, copy)
    shutil.rmtree(copy / "checkpoints" / "4")
    again = [flag.replace(str(directory), str(copy)) for flag in argv]
    assert "resuming at step 2" in succeed(again)
    assert losses(copy) == losses(directory)
    assert losses(copy, "validation") == losses(directory, "validation")

    run = make(dataset, f"init_from={base}", *LORA)
    ours, theirs = (start.restore(run, path)[0] for path in (copy, directory))
    jax.tree.map(np.testing.assert_array_equal, ours, theirs)
    assert all(path.startswith("lora.") for path in ours.params)
    assert any(np.asarray(x).any() for p, x in ours.params.items() if p.endswith(".b"))
    stored = start.find_weights(make(dataset, f"init_from={base}"))[0]
    frozen = stored.load({p: run.abstract.frozen[p] for p in stored.shapes})
    jax.tree.map(np.testing.assert_array_equal, ours.frozen, frozen)

    out = tmp_path / "samples"
    succeed([*command("sample"), f"--workdir={copy}", f"--out={out}"])
    assert json.loads((out / "samples.json").read_text())["step"] == 4


def test_a_base_that_moved_on_is_an_error(dataset, base, tuned, tmp_path):
    moved = tmp_path / "base"
    shutil.copytree(base / "checkpoints" / "1", moved / "checkpoints" / "1")
    run = make(dataset, f"init_from={moved}", *LORA)
    checkpoints = workdir.open_checkpoints(tuned[0], run, writes=False)
    with pytest.raises(DataError, match="no longer holds the checkpoint"):
        start.resume(run, checkpoints)
    checkpoints.close()


def test_adapters_alone_are_no_start(dataset, tuned):
    with pytest.raises(ConfigError, match="holds adapters, not the weights"):
        start.find_weights(make(dataset, f"init_from={tuned[0]}"))
