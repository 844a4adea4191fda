"""A run that starts from the weights of another, equal or grown."""

import jax
import numpy as np
import pytest
from doors import ROOT, overrides

from videogen import build, start, workdir
from videogen import run as runs
from videogen.core.errors import ConfigError, DataError

CONFIG = str(ROOT / "configs/quickstart.py")
LEARNED = ("model.position=learned", "model.position_sizes=(3,2,2)")


def make(dataset, *extra):
    config = build.load_config(CONFIG)
    build.override(config, overrides(dataset, "model.depth=1", *extra))
    return runs.make(build.read(config))


@pytest.fixture(scope="module")
def base(dataset, tmp_path_factory):
    """(a workdir that holds one checkpoint, its state)."""
    directory = tmp_path_factory.mktemp("base")
    run = make(dataset, *LEARNED)
    state = run.init()
    checkpoints = workdir.open_checkpoints(directory, run)
    checkpoints.save(7, state)
    checkpoints.close()
    return directory, state


def start_from(run, tmp_path):
    checkpoints = workdir.open_checkpoints(tmp_path / "w", run)
    state, step, said = start.start_state(run, checkpoints)
    checkpoints.close()
    assert step == 0 and int(state.step) == 0
    return state, said


def test_equal_networks_share_every_leaf(dataset, base, tmp_path):
    directory, before = base
    run = make(dataset, *LEARNED, f"init_from={directory}", "seed=1")
    state, said = start_from(run, tmp_path)
    jax.tree.map(np.testing.assert_array_equal, state.params, before.ema)
    jax.tree.map(np.testing.assert_array_equal, state.ema, before.ema)
    assert f"loaded: {len(state.params)} leaves, {run.num_params:,} parameters" in said
    assert f"{directory}/checkpoints/7" in said


@pytest.mark.parametrize("how", ["extend", "interpolate"])
def test_channels_and_tables_grow(dataset, base, tmp_path, how):
    directory, before = base
    grown = ("model.given_channels=2", "model.position_sizes=(5,2,4)")
    fields = (*LEARNED, *grown, f"init_from={directory}", f"init_positions={how}")
    run = make(dataset, *fields, "seed=1")
    state, said = start_from(run, tmp_path)
    changed = ("patch_embedding.kernel", "positions.columns", "positions.frames")
    for path, value in state.params.items():
        if path not in changed:
            np.testing.assert_array_equal(value, before.ema[path], err_msg=path)
        assert value.sharding == run.abstract.params[path].sharding
        np.testing.assert_array_equal(value, state.ema[path])
    kernel = np.asarray(state.params["patch_embedding.kernel"]).reshape(4, 18, -1)
    old = np.asarray(before.ema["patch_embedding.kernel"])
    np.testing.assert_array_equal(kernel[:, :16].reshape(64, -1), old)
    assert not kernel[:, 16:].any()
    if how == "extend":
        for path in changed[1:]:
            table = before.ema[path]
            np.testing.assert_array_equal(state.params[path][: len(table)], table)
        fresh = run.init().params["positions.frames"]
        np.testing.assert_array_equal(state.params["positions.frames"][3:], fresh[3:])
    assert "adapted: 3 leaves" in said and "64 -> 72 rows" in said


def test_what_is_new_and_what_is_dropped_is_named(dataset, base, tmp_path):
    run = make(dataset, f"init_from={base[0]}", "model.cross_norm=rms_affine", "seed=1")
    _, said = start_from(run, tmp_path)
    assert "dropped: 4 leaves" in said and "positions.frames" in said
    run = make(dataset, *LEARNED, f"init_from={base[0]}", "init_fresh=('^proj_out',)")
    assert "new: 2 leaves" in start_from(run, tmp_path)[1]


@pytest.mark.parametrize(
    "fields, said",
    [
        (
            ("model.mlp_width=112",),
            "config.init_from: blocks.ffn.down.kernel is 1x96x48",
        ),
        (("model.patch=(1,4,4)",), "was trained with (1, 2, 2)"),
        (("model.position_sizes=(4,2,2)",), "config.init_from: init_positions=''"),
        (("init_fresh=('nothing',)",), "config.init_fresh: 'nothing' finds none"),
    ],
)
def test_what_does_not_fit_is_one_line(dataset, base, fields, said):
    run = make(dataset, *LEARNED, f"init_from={base[0]}", *fields)
    with pytest.raises(ConfigError) as error:
        start.find_weights(run)
    assert said in str(error.value) and "\n" not in str(error.value)


def test_nowhere_is_named(dataset, tmp_path):
    run = make(dataset, f"init_from={tmp_path}")
    with pytest.raises(DataError, match="no checkpoint there"):
        start.find_weights(run)


def test_a_way_to_grow_that_does_not_exist_is_named(dataset):
    with pytest.raises(ConfigError, match="config.init_positions='strech'"):
        make(dataset, "init_positions=strech")


def test_another_expert_is_taken_as_it_is_or_refused(dataset, base):
    directory, state = base
    fields = (*LEARNED, "sample.boundary=0.5")
    found = start.expert(make(dataset, *fields), directory)
    jax.tree.map(np.testing.assert_array_equal, found, dict(state.ema))
    for change, said in {
        "model.mlp_width=112": "--low_noise=.*ffn.* differs",
        "model.num_heads=2": "--low_noise=.*model.num_heads differs",
        "sample.boundary=0.0": "sample.boundary=0 leaves no step",
    }.items():
        with pytest.raises(ConfigError, match=said):
            start.expert(make(dataset, *fields, change), directory)
