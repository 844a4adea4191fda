"""All that training carries from step to step: a plain pytree of arrays."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

from videogen.core.types import Array, Params
from videogen.parallel.host_memory import HOST, on_device


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainState:
    """`step` counts updates tried; the rest is {dotted path: float32 array}.

    `params` are trained, with moments in `opt_state` and averages in `ema`; `frozen` are
    the network's other parameters. `plateau` is the state of train/plateau.py.
    """

    step: Any  # int32 scalar
    params: Params
    opt_state: Any
    ema: Params
    frozen: Params = dataclasses.field(default_factory=dict)
    plateau: dict[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def weights(self) -> dict[str, Any]:
        """All parameters of the network, those being trained and the others."""
        return {**self.frozen, **self.params}

    @property
    def averages(self) -> dict[str, Any]:
        """All parameters of the network, averaged: what is sampled and kept."""
        return {**self.frozen, **on_device(self.ema)}


def offloaded(state: TrainState, stacked: TrainState) -> TrainState:
    """ShapeDtypeStructs; the moments and averages that `stacked` says are in hosts' memory."""

    def moved(leaf: jax.ShapeDtypeStruct, is_stacked: bool) -> jax.ShapeDtypeStruct:
        if not is_stacked:
            return leaf
        return leaf.update(sharding=leaf.sharding.with_memory_kind(HOST))

    kept = {"opt_state": state.opt_state, "ema": state.ema}
    which = {"opt_state": stacked.opt_state, "ema": stacked.ema}
    return dataclasses.replace(state, **jax.tree.map(moved, kept, which))


def make_init(
    init_params: Callable[[Array], Params],
    optimizer: optax.GradientTransformation,
    trains: Callable[[str], bool] = lambda path: True,
    new_plateau: Callable[[], dict[str, Array]] = dict,
) -> Callable[[Array], TrainState]:
    """key -> TrainState at step 0. Pure: run it under jit with out_shardings.

    trains: whether the parameter of a path is trained.
    """

    def init(key: Array) -> TrainState:
        weights = init_params(key)
        params = {path: x for path, x in weights.items() if trains(path)}
        return TrainState(
            step=jnp.zeros((), jnp.int32),
            params=params,
            opt_state=optimizer.init(params),
            ema=jax.tree.map(jnp.copy, params),
            frozen={path: x for path, x in weights.items() if not trains(path)},
            plateau=new_plateau(),
        )

    return init
