"""A run's directory: what is recorded in it, and how a run starts or resumes from it.

config.json   the config, as it was built      run.json     facts: parameters, versions
checkpoints/  metrics.jsonl  tensorboard/      samples/step_000100/  report.html
"""

import importlib.metadata
import json
import os
import platform
from pathlib import Path
from typing import Any

import jax

from videogen.build import Settings, check_workdir
from videogen.core.errors import ConfigError, DataError
from videogen.parallel import multihost
from videogen.run import Run
from videogen.train.checkpoint import Checkpoints, describe, load_weights
from videogen.train.state import TrainState

PACKAGES = ("jax", "flax", "optax", "orbax-checkpoint", "grain", "numpy")


def prepare(workdir: Path, settings: Settings) -> None:
    """Makes the directory; ConfigError if it cannot be used by this config."""
    check_workdir(workdir, settings.record)
    if multihost.is_primary():
        try:
            workdir.mkdir(parents=True, exist_ok=True)
            _write_json(workdir / "config.json", settings.record)
        except OSError as error:
            raise ConfigError(
                f"workdir {workdir} cannot be written ({error.strerror}); give a "
                "--workdir on a disk with space and write permission"
            ) from error
    multihost.sync("workdir")


def record_facts(workdir: Path, run: Run) -> None:
    """run.json: what a report says about the run besides its config."""
    facts = {
        "params": run.num_params,
        "tokens_per_clip": run.tokens_per_clip,
        "latent_shape": run.feed.latent_shape,
        "train_clips": run.feed.num_clips,
        **run.feed.identity,
        "devices": f"{jax.device_count()} x {jax.devices()[0].device_kind}",
        "processes": jax.process_count(),
        "mesh": dict(run.mesh.shape),
        "python": platform.python_version(),
        "versions": {name: importlib.metadata.version(name) for name in PACKAGES},
    }
    if multihost.is_primary():
        _write_json(workdir / "run.json", facts)


def open_checkpoints(workdir: Path, run: Run) -> Checkpoints:
    """The workdir's checkpoints; DataError if they come from other data."""
    path = workdir / "run.json"
    if path.exists():
        check_identity(workdir, json.loads(path.read_text()), run.feed.identity)
    return Checkpoints(
        (workdir / "checkpoints").absolute(),
        keep=run.settings.train.keep_checkpoints,
        metadata={"config": run.settings.record, **run.feed.identity},
    )


def check_identity(workdir: Path, before: dict[str, Any], now: dict[str, str]) -> None:
    """DataError when a run resumes on another tokenizer's latents or another plan."""
    for name, value in now.items():
        if name in before and before[name] != value:
            raise DataError(
                f"workdir {workdir} was trained with {name} {before[name]}, but the "
                f"dataset has {value}: point --config.data.path at the old dataset, or "
                "give a new --workdir"
            )


def start_state(run: Run, checkpoints: Checkpoints) -> tuple[TrainState, int, str]:
    """(state, its step, a line that says where it came from)."""
    latest = checkpoints.latest_step()
    if latest is not None:
        return checkpoints.restore(run.abstract), latest, f"resuming at step {latest}"
    state = run.init()
    if not run.settings.init_from:
        return state, 0, "starting from scratch"
    path = Path(run.settings.init_from)
    loaded, report = load_weights(path, run.abstract.params)
    if not loaded:
        raise ConfigError(f"nothing of {describe(report, path)} fits this model")
    weights = {**state.params, **loaded}
    state = TrainState(
        step=state.step,
        params=weights,
        opt_state=state.opt_state,
        ema=jax.tree.map(jax.numpy.copy, weights),
    )
    return state, 0, describe(report, path)


def restore(run: Run, workdir: Path) -> tuple[TrainState, int]:
    """The newest state of a trained workdir, for the doors that do not train."""
    checkpoints = open_checkpoints(workdir, run)
    latest = checkpoints.latest_step()
    if latest is None:
        raise DataError(
            f"{workdir}/checkpoints holds no checkpoint: train it first "
            f"(python -m videogen.train --config=... --workdir={workdir})"
        )
    return checkpoints.restore(run.abstract), latest


def samples_dir(workdir: Path, step: int) -> Path:
    """Where the samples of a step go."""
    return workdir / "samples" / f"step_{step:06d}"


def _write_json(path: Path, content: dict[str, Any]) -> None:
    """Whole or not at all."""
    part = path.with_name(f".{path.name}.{os.getpid()}")
    part.write_text(json.dumps(content, indent=2) + "\n")
    part.replace(path)
