"""From the last state of one stage to the first of the next.

Steps, weights, averages and moments carry over as they are; leaves of another shape are
adapted by the rules of train/adapt.py, moments as their parameters, with zeros where a
parameter is new. A pure function of the state: a run resumed at the boundary repeats it.
"""

import dataclasses
from typing import Any

import jax
from jax.sharding import NamedSharding, PartitionSpec

from videogen.parallel.rules import path_name
from videogen.run import Run
from videogen.start import adapted_leaves
from videogen.train import adapt, plateau
from videogen.train.adapt import Adaptation
from videogen.train.state import TrainState


def compare(before: Run, after: Run) -> Adaptation:
    """What becomes of each leaf. ConfigError for one that no rule covers."""
    stage = after.settings.stage
    theirs, ours = (shapes(_carried(run.abstract)) for run in (before, after))
    rules = dataclasses.replace(
        after.settings.weight_rules,
        fresh=(),  # of the start alone
        where=f"config.stages[{stage.index}]",
    )
    return adapt.compare(theirs, ours, rules)


def hand_over(state: TrainState, before: Run, after: Run) -> TrainState:
    """The state in the shapes and shardings of the next stage; `state` is used up."""
    adaptation = compare(before, after)
    target = flat(_carried(after.abstract))
    old = flat(_carried(state))
    anew = adaptation.adapted.keys() | set(adaptation.new)
    fresh = flat(_carried(after.init())) if anew else {}
    leaves = {
        **{p: jax.device_put(old[p], target[p].sharding) for p in adaptation.loaded},
        **{p: fresh[p] for p in adaptation.new},
        **adapted_leaves(target, adaptation, old, fresh),
    }
    fields = jax.tree_util.tree_map_with_path(
        lambda keys, _: leaves[path_name(keys)], _carried(after.abstract)
    )
    return TrainState(**fields, plateau=_new_plateau(after))


def flat(tree: Any) -> dict[str, Any]:
    """{dotted path: leaf}."""
    return {path_name(keys): leaf for keys, leaf in jax.tree.leaves_with_path(tree)}


def shapes(tree: Any) -> dict[str, tuple[int, ...]]:
    """{dotted path: shape}."""
    return {path: tuple(leaf.shape) for path, leaf in flat(tree).items()}


def _carried(state: TrainState) -> dict[str, Any]:
    """All but the plateau: another stage's losses do not compare."""
    return {name: x for name, x in vars(state).items() if name != "plateau"}


def _new_plateau(run: Run) -> dict[str, Any]:
    step = run.settings.stage.start
    replicated = NamedSharding(run.mesh, PartitionSpec())
    make = jax.jit(
        lambda: plateau.new_state(run.settings.plateau, step), out_shardings=replicated
    )
    return make()
