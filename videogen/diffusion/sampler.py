"""From noise to data: integrate d x / d t = v(x, t) from t = 1 down to t = 0."""

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp

from videogen.core.errors import ConfigError, suggest
from videogen.core.types import Array
from videogen.diffusion.flow import Velocity
from videogen.diffusion.grid import SCHEDULES, karras, linear_quadratic
from videogen.diffusion.shift import shift_time

METHODS = ("euler", "heun")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sampler:
    """An ODE solver on a grid of `num_steps` intervals, `schedule` (grid.py), then shifted.

    Euler: one evaluation per step. Heun: two, second order (Karras et al. 2022,
    arXiv 2206.00364, algorithm 1 without noise); its last step is exact at t = 0 too,
    since the rectified-flow velocity is defined there.
    """

    method: str = "euler"
    num_steps: int = 50
    shift: float = 1.0
    schedule: str = "uniform"

    def __post_init__(self):
        if self.method not in METHODS:
            raise ConfigError(
                f"sample.method={self.method!r}{suggest(self.method, METHODS)}"
            )
        if self.schedule not in SCHEDULES:
            raise ConfigError(
                f"sample.schedule={self.schedule!r}{suggest(self.schedule, SCHEDULES)}"
            )
        if self.num_steps < 1:
            raise ConfigError(f"sample.num_steps={self.num_steps} must be at least 1")

    def times(self) -> Array:
        """num_steps + 1 times of the model's own clock, from 1 down to 0."""
        if self.schedule == "linear_quadratic":
            grid = jnp.asarray(linear_quadratic(self.num_steps), jnp.float32)
        elif self.schedule == "karras":
            grid = jnp.asarray(karras(self.num_steps), jnp.float32)
        else:
            grid = jnp.linspace(1.0, 0.0, self.num_steps + 1)
        return shift_time(grid, self.shift)

    def __call__(
        self,
        velocity: Velocity,
        noise: Array,
        time: Callable[[Array], Array] | None = None,
        end: float = 1.0,
    ) -> Array:
        """x_0 of noise (B, ...), by `velocity`. `time`: the model's own times -> t.

        Starts at `end` at the latest: there, where data is all but drowned, x is t noise.
        """
        batch_size = noise.shape[0]

        def at(x: Array, t: Array) -> Array:
            return velocity(x, jnp.broadcast_to(t, (batch_size,))).astype(x.dtype)

        def step(x: Array, interval: tuple[Array, Array]) -> tuple[Array, None]:
            t, t_next = interval
            v = at(x, t)
            if self.method == "heun":
                v = (v + at(x + (t_next - t) * v, t_next)) / 2
            return x + (t_next - t) * v, None

        times = self.times() if time is None else time(self.times())
        times = jnp.minimum(times, end)
        start = (times[0] * noise).astype(noise.dtype)
        x_0, _ = jax.lax.scan(step, start, (times[:-1], times[1:]))
        return x_0
