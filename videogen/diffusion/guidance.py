"""Classifier-free guidance (Ho and Salimans 2022, arXiv 2207.12598); experts by noise level."""

import jax

from videogen.core.types import Array, Parts
from videogen.diffusion.flow import Velocity
from videogen.diffusion.parts import each


def guided(conditional: Velocity, unconditional: Velocity, scale: float) -> Velocity:
    """v = v_null + scale (v_cond - v_null). At scale 1 the null pass is not run."""
    if scale == 1.0:
        return conditional

    def velocity(x_t: Parts, t_B: Array) -> Parts:
        v_null = unconditional(x_t, t_B)
        v_cond = conditional(x_t, t_B)
        return each(lambda null, cond: null + scale * (cond - null), v_null, v_cond)

    return velocity


def switched(high: Velocity, low: Velocity, boundary: float) -> Velocity:
    """`high` from t = boundary up, `low` below it (Wan2.2); one of them is run.

    All rows of x_t are at one t.
    """

    def velocity(x_t: Parts, t_B: Array) -> Parts:
        return jax.lax.cond(t_B[0] >= boundary, high, low, x_t, t_B)

    return velocity
