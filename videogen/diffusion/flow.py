"""Rectified flow, and the direction of time for the whole project.

    t = 0 is data, t = 1 is noise.
    x_t = (1 - t) x_0 + t noise                                     (1)
    v   = d x_t / d t = noise - x_0                                 (2)

From (1) and (2), at any t:
    x_0   = x_t - t v                                               (3)
    noise = x_t + (1 - t) v                                         (4)
    v     = (x_t - x_0) / t                                         (5)

Models published the other way round are converted at the door, never inside.
Source: Liu et al. 2022 (arXiv 2209.03003); Lipman et al. 2022 (arXiv 2210.02747).

Every function takes x of any shape (B, ...) and t of shape (B,), or of (B, F), its first dims.
"""

from collections.abc import Callable

import jax.numpy as jnp

from videogen.core.types import Array, Parts

# (x_t of shape (B, ...), t_B) -> velocity of x_t's shape, or of its parts' shapes
# (parts.py). Conditions are bound already.
Velocity = Callable[[Parts, Array], Parts]


def per_example(t_B: Array, x: Array) -> Array:
    """t, float32, with as many dims as x."""
    return t_B.astype(jnp.float32).reshape(t_B.shape + (1,) * (x.ndim - t_B.ndim))


def interpolate(x_0: Array, noise: Array, t_B: Array) -> Array:
    """x_t, equation (1)."""
    t = per_example(t_B, x_0)
    return (1 - t) * x_0 + t * noise


def velocity(x_0: Array, noise: Array) -> Array:
    """v, equation (2): what the network learns."""
    return noise - x_0


def data_from_velocity(x_t: Array, v: Array, t_B: Array) -> Array:
    """x_0, equation (3)."""
    return x_t - per_example(t_B, x_t) * v


def noise_from_velocity(x_t: Array, v: Array, t_B: Array) -> Array:
    """Noise, equation (4)."""
    return x_t + (1 - per_example(t_B, x_t)) * v


def velocity_from_data(x_t: Array, x_0: Array, t_B: Array) -> Array:
    """v, equation (5); t must be above zero."""
    return (x_t - x_0) / per_example(t_B, x_t)
