"""From noise to data: integrate d x / d t = v(x, t) from t = 1 down to t = 0."""

import dataclasses

import jax
import jax.numpy as jnp

from videogen.core.errors import ConfigError, suggest
from videogen.core.types import Array
from videogen.diffusion.loss import Velocity
from videogen.diffusion.time import shift_time

METHODS = ("euler", "heun")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sampler:
    """An ODE solver on a grid of `num_steps` intervals, uniform before the shift.

    Euler: one evaluation per step. Heun: two, second order (Karras et al. 2022,
    arXiv 2206.00364, algorithm 1 without noise); its last step is exact at t = 0 too,
    since the rectified-flow velocity is defined there.
    """

    method: str = "euler"
    num_steps: int = 50
    shift: float = 1.0

    def __post_init__(self):
        if self.method not in METHODS:
            raise ConfigError(
                f"sample.method={self.method!r}{suggest(self.method, METHODS)}"
            )
        if self.num_steps < 1:
            raise ConfigError(f"sample.num_steps={self.num_steps} must be at least 1")

    def times(self) -> Array:
        """num_steps + 1 times, from 1 down to 0."""
        return shift_time(jnp.linspace(1.0, 0.0, self.num_steps + 1), self.shift)

    def __call__(self, velocity: Velocity, noise: Array) -> Array:
        """x_0 of noise (B, ...), by `velocity`."""
        batch_size = noise.shape[0]

        def at(x: Array, t: Array) -> Array:
            return velocity(x, jnp.broadcast_to(t, (batch_size,))).astype(x.dtype)

        def step(x: Array, interval: tuple[Array, Array]) -> tuple[Array, None]:
            t, t_next = interval
            v = at(x, t)
            if self.method == "heun":
                v = (v + at(x + (t_next - t) * v, t_next)) / 2
            return x + (t_next - t) * v, None

        times = self.times()
        x_0, _ = jax.lax.scan(step, noise, (times[:-1], times[1:]))
        return x_0
