"""The learning rate is cut when the validation loss no longer falls.

After `patience` validations in a row that were not below the best, the rate is multiplied
by `factor`, not below `least`, and counting starts again (Movie Gen, arXiv 2410.13720, cuts
so by hand; Wan, 2503.20314, by other measures). The state is four scalars of the train
state, so that a resumed run cuts where the uninterrupted one does.
"""

import dataclasses

import jax.numpy as jnp

from videogen.core.errors import ConfigError
from videogen.core.types import Array

State = dict[str, Array]


@dataclasses.dataclass(frozen=True, kw_only=True)
class PlateauConfig:
    """factor 1: never. patience: in validations. least: a learning rate."""

    factor: float = 1.0
    patience: int = 5
    least: float = 0.0

    def __post_init__(self):
        if not 0 < self.factor <= 1:
            raise ConfigError(f"plateau.factor={self.factor} must be in (0, 1]")
        if self.patience < 1 or self.least < 0:
            raise ConfigError(
                f"plateau.patience={self.patience} must be at least 1, and "
                f"plateau.least={self.least} at least 0"
            )

    @property
    def is_on(self) -> bool:
        return self.factor < 1


def new_state(config: PlateauConfig, step: int = 0) -> State:
    """What a run starts with at a step: no loss seen, no cut. Empty if there is none."""
    if not config.is_on:
        return {}
    return {
        "best": jnp.full((), jnp.inf, jnp.float32),
        "waited": jnp.zeros((), jnp.int32),
        "scale": jnp.ones((), jnp.float32),
        "seen": jnp.full((), step, jnp.int32),
    }


def observe(
    config: PlateauConfig, learning_rate: float, state: State, step: Array, loss: Array
) -> State:
    """The state after the validation of a step; one that was seen changes nothing."""
    better = loss < state["best"]
    waited = jnp.where(better, 0, state["waited"] + 1)
    cut = waited >= config.patience
    least = min(1.0, config.least / learning_rate) if learning_rate else 1.0
    smaller = jnp.maximum(state["scale"] * config.factor, least)
    after = {
        "best": jnp.where(better, loss, state["best"]),
        "waited": jnp.where(cut, 0, waited),
        "scale": jnp.where(cut, smaller, state["scale"]),
        "seen": step,
    }
    is_new = step > state["seen"]
    return {k: jnp.where(is_new, after[k], x).astype(x.dtype) for k, x in state.items()}
