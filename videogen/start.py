"""A run's first state: of its own workdir -> `init_from` (weights only) -> scratch.

A run that trains adapters (`lora`) does not save the weights they stand beside. It finds
them again: in `init_from`, as the checkpoint that its own checkpoints name, or from the
seed.
"""

from pathlib import Path
from typing import Any

import jax
from jax.sharding import NamedSharding, PartitionSpec

from videogen import workdir as workdirs
from videogen.core.errors import ConfigError, DataError
from videogen.core.types import Array
from videogen.nn.lora import PREFIX
from videogen.parallel.host_memory import on_device
from videogen.run import Run
from videogen.train import adapt
from videogen.train.adapt import Adaptation
from videogen.train.checkpoint import Checkpoints
from videogen.train.state import TrainState
from videogen.train.stored import Stored, open_stored

Found = tuple[Stored, Adaptation]
BASE = "base"  # in a checkpoint's metadata: the id of the weights beside the adapters


def start_state(run: Run, checkpoints: Checkpoints) -> tuple[TrainState, int, str]:
    """(state, its step, lines that say where it came from)."""
    latest = checkpoints.latest_step()
    if latest is not None:
        return resume(run, checkpoints), latest, f"resuming at step {latest}"
    found = find_weights(run)
    if found is None:
        return run.init(), 0, "starting from scratch"
    stored, adaptation = found
    if run.settings.lora.rank:
        checkpoints.metadata[BASE] = stored.id
    text = adapt.report(adaptation, stored.shapes, shapes(run))
    said = f"starting from the weights of {stored.path}\n{text}"
    return with_weights(run, run.init(), found), 0, said


def resume(run: Run, checkpoints: Checkpoints) -> TrainState:
    """The newest saved state, whole."""
    if not run.settings.lora.rank:
        return checkpoints.restore(run.abstract)
    base = (checkpoints.stored_metadata() or {}).get(BASE, "")
    checkpoints.metadata[BASE] = base
    found = find_weights(run, base) if base else None
    state = run.init()
    frozen = (state if found is None else with_weights(run, state, found)).frozen
    return checkpoints.restore(run.abstract, frozen=frozen)


def restore(run: Run, workdir: Path) -> tuple[TrainState, int]:
    """The newest state of a trained workdir, for the doors that do not train."""
    latest = None
    if (workdir / "checkpoints").is_dir():
        checkpoints = workdirs.open_checkpoints(workdir, run, writes=False)
        latest = checkpoints.latest_step()
    if latest is None:
        raise DataError(
            f"{workdir}/checkpoints holds no checkpoint: train it first "
            f"(python -m videogen.train --config=... --workdir={workdir})"
        )
    state = resume(run, checkpoints)
    checkpoints.close()
    return state, latest


def find_weights(run: Run, id: str = "") -> Found | None:
    """What `init_from` holds and what of it is used; None without. Loads nothing.

    DataError when there is nothing, ConfigError for what does not fit this network.
    """
    settings = run.settings
    if not settings.init_from:
        return None
    stored = open_stored(Path(settings.init_from), id, field="config.init_from")
    patch = tuple(settings.model.patch)
    before = tuple(stored.model.get("patch", patch))
    if before != patch:
        raise ConfigError(
            f"config.model.patch={patch}, but {stored.path} was trained with {before}: "
            "its patch embedding cannot be used; the old value would work"
        )
    if any(path.startswith(PREFIX) for path in stored.shapes):
        raise ConfigError(
            f"config.init_from={settings.init_from} holds adapters, not the weights they "
            "stand beside; the init_from of that run would work"
        )
    adaptation = adapt.compare(stored.shapes, shapes(run), settings.weight_rules)
    if not adaptation.loaded:
        raise ConfigError(
            f"config.init_from={settings.init_from}: nothing of {stored.path} fits this "
            "network"
        )
    return stored, adaptation


def expert(run: Run, folder: Path) -> dict[str, Array]:
    """The parameters of the network below config.sample.boundary, laid out as the run's.

    folder: a workdir (its newest averages), or what `videogen convert --from` wrote.
    """
    if not run.settings.sample.boundary:
        raise ConfigError(
            f"config.sample.boundary=0 leaves no step to {folder}; the time below which it "
            "predicts would work (0.875 is Wan2.2's)"
        )
    stored, abstract = open_stored(folder, field="--low_noise"), run.abstract.weights
    differs = [
        *(
            path
            for path, shape in shapes(run).items()
            if stored.shapes.get(path) != shape
        ),
        *_other_fields(stored, run),
    ]
    if differs:
        raise ConfigError(
            f"--low_noise={folder} is not a network as this run's: {differs[0]} differs (one "
            f"of {len(differs)}); the other expert of the same model would work"
        )
    return stored.load(abstract)


def _other_fields(stored: Stored, run: Run) -> list[str]:
    """The fields of config.model that are not the run's, but for how it computes."""
    ours = run.settings.record["model"]
    told = {x: value for x, value in stored.model.items() if x in ours}
    how = ("attention", "remat", "dtype")
    return [f"model.{x}" for x in told if x not in how and told[x] != ours[x]]


def with_weights(run: Run, state: TrainState, found: Found) -> TrainState:
    """A new state with the stored weights, also as the start of their average."""
    stored, adaptation = found
    abstract, fresh = run.abstract.weights, state.weights
    same = {path: abstract[path] for path in adaptation.loaded}
    # Of their own shape, which our sharding may not divide.
    whole = NamedSharding(run.mesh, PartitionSpec())
    other = {
        path: jax.ShapeDtypeStruct(
            stored.shapes[path], abstract[path].dtype, sharding=whole
        )
        for path in adaptation.adapted
    }
    loaded = stored.load({**same, **other})
    adapted = adapted_leaves(abstract, adaptation, loaded, fresh)
    weights = {**fresh, **loaded, **adapted}
    params = {path: weights[path] for path in state.params}
    copied = jax.jit(
        lambda params: jax.tree.map(jax.numpy.copy, params),
        out_shardings={path: leaf.sharding for path, leaf in run.abstract.ema.items()},
    )
    return TrainState(
        step=state.step,
        params=params,
        opt_state=state.opt_state,
        ema=copied(params),
        frozen={path: weights[path] for path in state.frozen},
    )


def adapted_leaves(
    abstract: Any, adaptation: Adaptation, old: Any, fresh: Any
) -> dict[str, Array]:
    """The adapted leaves in the shardings of `abstract`; all by dotted path."""
    paths = adaptation.adapted.keys()
    if not paths:
        return {}
    shardings = {path: abstract[path].sharding for path in paths}
    change = jax.jit(
        lambda a, b: adapt.apply(adaptation, on_device(a), on_device(b)),
        out_shardings=shardings,
    )
    return change({p: old[p] for p in paths}, {p: fresh[p] for p in paths})


def shapes(run: Run) -> dict[str, tuple[int, ...]]:
    """Of every parameter of the network."""
    return {path: leaf.shape for path, leaf in run.abstract.weights.items()}
