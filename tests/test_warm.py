"""The step that is compiled ahead for a job's cache is the one that the job takes."""

import jax
import pytest
from doors import ROOT, overrides

from data_pipelines.synthetic import write_synthetic
from videogen import run as runs
from videogen import warm
from videogen.core.errors import ConfigError, DataError
from videogen.cost.compile import environment
from videogen.cost.pod import Pod

CONFIG = str(ROOT / "configs/quickstart.py")


@pytest.fixture
def dataset(tmp_path):
    directory = tmp_path / "dataset"
    write_synthetic(
        directory, num_records=8, latent_shape=(3, 4, 4, 16), seed=0, text_length=8
    )
    return directory


def test_a_job_traces_the_program_that_was_compiled_ahead(dataset, monkeypatch):
    """Down to the text that JAX's cache hashes; constants and unused inputs are in it."""
    monkeypatch.setattr(Pod, "of", lambda mesh: Pod(axes={}, places=((0,) * 5,)))
    given = overrides(dataset, "model.depth=1", "data.global_batch=4")
    case = warm.step_case(jax.devices()[:1], CONFIG, given)
    run = runs.make(warm.read(CONFIG, given))
    mesh = run.mesh
    with jax.sharding.use_abstract_mesh(mesh.abstract_mesh):
        ahead = case.function.trace(*case.args).lower().as_text()
    batch = next(run.feed.train_batches(0))
    assert batch.keys() == case.args[1].keys()
    with jax.set_mesh(mesh):
        assert run.step.__wrapped__.lower(run.abstract, batch).as_text() == ahead


def test_a_dataset_that_is_not_there_is_named():
    with pytest.raises(DataError, match="no dataset.json"):
        warm.step_case(jax.devices()[:1], CONFIG, ("data.path=",))


def test_flags_that_the_key_would_not_hold_are_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("LIBTPU_INIT_ARGS", "--xla_x=1")
    with pytest.raises(ConfigError, match=r"LIBTPU_INIT_ARGS='--xla_x=1'.*mesh.xla"):
        environment(tmp_path, cache=tmp_path / "c")


def test_only_a_compiler_that_is_asked_fills_a_cache(tmp_path):
    plain, filling = environment(tmp_path), environment(tmp_path, cache=tmp_path / "c")
    assert plain["JAX_ENABLE_COMPILATION_CACHE"] == "false"
    assert "JAX_ENABLE_COMPILATION_CACHE" not in filling
    assert filling["JAX_COMPILATION_CACHE_DIR"] == str(tmp_path / "c")
