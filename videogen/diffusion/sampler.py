"""From noise to data: integrate d x / d t = v(x, t) from t = 1 down to t = 0."""

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp

from videogen.core.errors import ConfigError, suggest
from videogen.core.types import Array, Parts
from videogen.diffusion.flow import Velocity
from videogen.diffusion.grid import SCHEDULES, karras, linear_quadratic
from videogen.diffusion.parts import batch_size, each
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
        noise: Parts,
        time: Callable[[Array], Array] | None = None,
        end: float = 1.0,
    ) -> Parts:
        """x_0 of noise (B, ...), or of its parts, by `velocity`. `time`: own times -> t.

        Starts at `end` at the latest: there, where data is all but drowned, x is t noise.
        """
        size = batch_size(noise)

        def at(x: Parts, t: Array) -> Parts:
            v = velocity(x, jnp.broadcast_to(t, (size,)))
            return each(lambda v, x: v.astype(x.dtype), v, x)

        def step(x: Parts, interval: tuple[Array, Array]) -> tuple[Parts, None]:
            t, t_next = interval

            def along(x: Array, v: Array) -> Array:
                return x + (t_next - t) * v

            v = at(x, t)
            if self.method == "heun":
                v = each(lambda v, w: (v + w) / 2, v, at(each(along, x, v), t_next))
            return each(along, x, v), None

        times = self.times() if time is None else time(self.times())
        times = jnp.minimum(times, end)
        start = each(lambda noise: (times[0] * noise).astype(noise.dtype), noise)
        x_0, _ = jax.lax.scan(step, start, (times[:-1], times[1:]))
        return x_0
