"""A run's directory: what is recorded in it, and what a resume must find.

    config.json   every field of the config        run.json     facts: parameters, versions
    checkpoints/  metrics.jsonl  tensorboard/      samples/step_000100/  report.html

What a resume must find unchanged is in each checkpoint's own metadata; the two JSON files
are written once the run is known to be able to start.
"""

import contextlib
import fcntl
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax

from videogen.build import Settings, complete
from videogen.core.errors import ConfigError, DataError
from videogen.eval.environment import environment
from videogen.parallel import multihost
from videogen.run import Run
from videogen.stages import begun, of, trained
from videogen.train.checkpoint import Checkpoints

# What a resumed run may change: none of these alters what the weights were trained on.
FREE = (
    "assumed",
    "data.path",
    "data.num_threads",
    "data.buffer_mib",
    # Where their weights are; the dataset knows which they are.
    "data.text_encoder",
    "data.image_encoder",
    "init_from",
    "init_fresh",
    "init_positions",
    "mesh",
    "model.attention",
    "model.remat",
    "optimizer.microbatches",
    "optimizer.offload",
    "published",
    "sample",
    "train",
    "validation",
)

# But for these, where the validation loss decides the learning rate.
BINDING_WITH_PLATEAU = ("train.validate_every", "validation")


@contextlib.contextmanager
def claim(workdir: Path) -> Iterator[None]:
    """Makes the directory and holds its lock.

    Raises ConfigError if it cannot be written or another trainer holds it.
    """
    if not multihost.is_primary():
        yield
        return
    try:
        workdir.mkdir(parents=True, exist_ok=True)
        lock = (workdir / ".lock").open("w")
    except OSError as error:
        raise ConfigError(
            f"workdir {workdir} cannot be written ({error.strerror}); give a --workdir "
            "on a disk with space and write permission"
        ) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigError(
                f"workdir {workdir} is in use by another trainer; stop it, or give "
                "another --workdir"
            ) from None
        yield


def record(workdir: Path, run: Run) -> None:
    """config.json and run.json: what sampling and the report read."""
    facts = {
        "params": run.num_params,
        "tokens_per_clip": run.tokens_per_clip,
        "latent_shape": run.feed.latent_shape,
        "train_clips": run.feed.num_clips,
        **run.feed.identity,
        "devices": f"{jax.device_count()} x {jax.devices()[0].device_kind}",
        "processes": jax.process_count(),
        "mesh": dict(run.mesh.shape),
        "environment": environment(),
    }
    if multihost.is_primary():
        _write_json(workdir / "config.json", run.settings.record)
        _write_json(workdir / "run.json", facts)


def open_checkpoints(workdir: Path, run: Run, *, writes: bool = True) -> Checkpoints:
    """The workdir's checkpoints; an error if they are of another config or other data."""
    checkpoints = Checkpoints(
        (workdir / "checkpoints").absolute(),
        keep=run.settings.train.keep_checkpoints,
        metadata=metadata(run),
        writes=writes,
        omit=("frozen",) if run.settings.lora.rank else (),
    )
    stored = checkpoints.stored_metadata()
    if stored is not None:
        latest = checkpoints.latest_step() or 0
        check_config(workdir, stored["config"], run.settings, latest)
        check_identity(workdir, stored["identity"], run.feed.identity)
    return checkpoints


def metadata(run: Run) -> dict[str, Any]:
    """What a checkpoint says of the run, and of the stage that saved it."""
    return {"config": run.settings.record, "identity": run.feed.identity}


def newest_step(workdir: Path) -> int | None:
    """Of the checkpoints of a workdir, which is not changed."""
    if not (workdir / "checkpoints").is_dir():
        return None
    directory = (workdir / "checkpoints").absolute()
    checkpoints = Checkpoints(directory, keep=1, metadata={}, writes=False)
    step = checkpoints.latest_step()
    checkpoints.close()
    return step


def stage_of(settings: Settings, workdir: Path) -> Settings:
    """The settings of the stage that saved the newest checkpoint, by default the first."""
    stages = of(settings)
    if len(stages) == 1:
        return stages[0]
    return stages[trained(stages, newest_step(workdir) or 0)]


def check_config(
    workdir: Path, before: dict[str, Any], settings: Settings, step: int
) -> None:
    """ConfigError when `step` steps were trained with a config that differs in what matters."""
    theirs, ours = (
        _flat(begun(record, step)) for record in (complete(before), settings.record)
    )
    binding = BINDING_WITH_PLATEAU if settings.plateau.is_on else ()
    changed = sorted(
        name
        for name in theirs.keys() | ours.keys()
        if theirs.get(name) != ours.get(name)
        and (not _is_in(_bare(name), FREE) or _is_in(_bare(name), binding))
    )
    if changed:
        names = ", ".join(
            f"config.{name} was {theirs.get(name)!r}, now {ours.get(name)!r}"
            for name in changed
        )
        raise ConfigError(
            f"workdir {workdir} holds a run of another config: {names}; give the old "
            "value, or a new --workdir (with --config.init_from to start from its weights)"
        )


def check_identity(workdir: Path, before: dict[str, str], now: dict[str, str]) -> None:
    """DataError when a run resumes on another tokenizer's latents or another plan."""
    for name, value in now.items():
        if before.get(name) != value:
            raise DataError(
                f"workdir {workdir} was trained with {name} {before.get(name)}, but the "
                f"dataset has {value}: point --config.data.path at the old dataset, or "
                "give a new --workdir"
            )


def samples_dir(workdir: Path, step: int) -> Path:
    """Where training puts the samples of a step."""
    return workdir / "samples" / f"step_{step:06d}"


def profile_dir(workdir: Path) -> Path:
    """Where training puts its trace, for xprof."""
    return workdir / "profile"


def bad_records(workdir: Path) -> Path:
    """Where this process notes records that it had to replace."""
    return workdir / f"bad_records_{jax.process_index()}.jsonl"


def _write_json(path: Path, content: dict[str, Any]) -> None:
    """Whole or not at all."""
    part = path.with_name(f".{path.name}.{os.getpid()}")
    part.write_text(json.dumps(content, indent=2) + "\n")
    part.replace(path)


def _flat(node: Any, prefix: str = "") -> dict[str, Any]:
    if not isinstance(node, dict):
        return {prefix: node}
    parts = (
        _flat(value, f"{prefix}.{key}" if prefix else key)
        for key, value in node.items()
    )
    return {name: value for part in parts for name, value in part.items()}


def _bare(name: str) -> str:
    """The field that a stage overrides."""
    return re.sub(r"^stages\.\d+\.", "", name)


def _is_in(name: str, sections: tuple[str, ...]) -> bool:
    return any(
        name == section or name.startswith(f"{section}.") for section in sections
    )
