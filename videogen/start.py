"""A run's first state: of its own workdir -> `init_from` (weights only) -> scratch."""

from pathlib import Path
from typing import Any

import jax
from jax.sharding import NamedSharding, PartitionSpec

from videogen.core.errors import ConfigError
from videogen.core.types import Array
from videogen.run import Run
from videogen.train import adapt
from videogen.train.adapt import Adaptation
from videogen.train.checkpoint import Checkpoints
from videogen.train.state import TrainState
from videogen.train.stored import Stored, open_stored


def start_state(run: Run, checkpoints: Checkpoints) -> tuple[TrainState, int, str]:
    """(state, its step, lines that say where it came from)."""
    latest = checkpoints.latest_step()
    if latest is not None:
        return checkpoints.restore(run.abstract), latest, f"resuming at step {latest}"
    if not run.settings.init_from:
        return run.init(), 0, "starting from scratch"
    stored, adaptation = find_weights(run)
    ours = {path: leaf.shape for path, leaf in run.abstract.params.items()}
    text = adapt.report(adaptation, stored.shapes, ours)
    said = f"starting from the weights of {stored.path}\n{text}"
    return with_weights(run, run.init(), stored, adaptation), 0, said


def find_weights(run: Run) -> tuple[Stored, Adaptation]:
    """What `init_from` holds and what of it is used. Loads nothing.

    DataError when there is nothing, ConfigError for what does not fit this network.
    """
    settings = run.settings
    stored = open_stored(Path(settings.init_from))
    patch = tuple(settings.model.patch)
    before = tuple(stored.model.get("patch", patch))
    if before != patch:
        raise ConfigError(
            f"config.model.patch={patch}, but {stored.path} was trained with {before}: "
            "its patch embedding cannot be used; the old value would work"
        )
    ours = {path: leaf.shape for path, leaf in run.abstract.params.items()}
    adaptation = adapt.compare(stored.shapes, ours, settings.weight_rules)
    if not adaptation.loaded:
        raise ConfigError(
            f"config.init_from={settings.init_from}: nothing of {stored.path} fits this "
            "network"
        )
    return stored, adaptation


def with_weights(
    run: Run, state: TrainState, stored: Stored, adaptation: Adaptation
) -> TrainState:
    """A new state with the stored weights, also as the start of their average."""
    same = {path: run.abstract.params[path] for path in adaptation.loaded}
    # Of their own shape, which our sharding may not divide.
    whole = NamedSharding(run.mesh, PartitionSpec())
    other = {
        path: jax.ShapeDtypeStruct(
            stored.shapes[path], state.params[path].dtype, sharding=whole
        )
        for path in adaptation.adapted
    }
    loaded = stored.load({**same, **other})
    adapted = adapted_leaves(run.abstract.params, adaptation, loaded, state.params)
    weights = {**state.params, **loaded, **adapted}
    return TrainState(
        step=state.step,
        params=weights,
        opt_state=state.opt_state,
        ema=jax.tree.map(jax.numpy.copy, weights),
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
        lambda a, b: adapt.apply(adaptation, a, b), out_shardings=shardings
    )
    return change({p: old[p] for p in paths}, {p: fresh[p] for p in paths})
