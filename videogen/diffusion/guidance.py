"""Classifier-free guidance (Ho and Salimans 2022, arXiv 2207.12598)."""

from videogen.core.types import Array
from videogen.diffusion.flow import Velocity


def guided(conditional: Velocity, unconditional: Velocity, scale: float) -> Velocity:
    """v = v_null + scale (v_cond - v_null). At scale 1 the null pass is not run."""
    if scale == 1.0:
        return conditional

    def velocity(x_t: Array, t_B: Array) -> Array:
        v_null = unconditional(x_t, t_B)
        return v_null + scale * (conditional(x_t, t_B) - v_null)

    return velocity
