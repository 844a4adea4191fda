"""All that training carries from step to step: a plain pytree of arrays."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

from videogen.core.types import Array, Params


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainState:
    """`step` counts updates tried; `params` and `ema` are {dotted path: float32 array}."""

    step: Any  # int32 scalar
    params: Params
    opt_state: Any
    ema: Params


def make_init(
    init_params: Callable[[Array], Params], optimizer: optax.GradientTransformation
) -> Callable[[Array], TrainState]:
    """key -> TrainState at step 0. Pure: run it under jit with out_shardings."""

    def init(key: Array) -> TrainState:
        params = init_params(key)
        return TrainState(
            step=jnp.zeros((), jnp.int32),
            params=params,
            opt_state=optimizer.init(params),
            ema=jax.tree.map(jnp.copy, params),
        )

    return init
