"""The training target: flow matching, one number per example."""

from collections.abc import Callable

import jax.numpy as jnp

from videogen.core.types import Array
from videogen.diffusion import flow

# (x_t of shape (B, ...), t_B) -> velocity of x_t's shape. Conditions are bound already.
Velocity = Callable[[Array, Array], Array]


def flow_loss(predict: Velocity, x_0: Array, noise: Array, t_B: Array) -> Array:
    """loss_B: mean squared error of the velocity, float32, before any averaging over B."""
    x_t = flow.interpolate(x_0, noise, t_B)
    error = predict(x_t, t_B).astype(jnp.float32) - flow.velocity(x_0, noise)
    return jnp.mean(jnp.square(error), axis=tuple(range(1, error.ndim)))
