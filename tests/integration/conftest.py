"""A tiny dataset, written once; programs of training, compiled once."""

from pathlib import Path

import jax
import pytest

from data_pipelines.synthetic import write_synthetic


@pytest.fixture(scope="session")
def dataset(tmp_path_factory) -> Path:
    """40 synthetic clips of latent shape (3, 4, 4, 16)."""
    directory = tmp_path_factory.mktemp("dataset")
    write_synthetic(
        directory,
        num_records=40,
        latent_shape=(3, 4, 4, 16),
        seed=0,
        text_length=8,
    )
    return directory


@pytest.fixture(scope="session")
def compiled(tmp_path_factory) -> Path:
    """JAX's compilation cache of these tests."""
    return tmp_path_factory.mktemp("compiled")


@pytest.fixture(scope="module", autouse=True)
def compiled_once(compiled):
    """Compiling is nearly all the time of these runs, and they share their programs."""
    fields = {
        "jax_compilation_cache_dir": str(compiled),
        "jax_persistent_cache_min_compile_time_secs": 0.0,
    }
    before = {name: getattr(jax.config, name) for name in fields}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in fields.items():
            jax.config.update(name, value)
            patch.setenv(name.upper(), str(value))  # of the processes they start
        yield
    for name, value in before.items():
        jax.config.update(name, value)
