"""Paths from data to noise, and the clocks that published models tell time by.

A model's own clock runs from u = 0 (data) to u = 1 (noise). At u its network is given

    z = alpha x_0 + sigma noise                                       (1)

of normalised latents (unit variance). Whatever the path, z is our x_t up to a factor:

    t = sigma / (alpha + sigma),    z = (alpha + sigma) x_t           (2)

since x_t = (1 - t) x_0 + t noise (flow.py). So one sampler serves all paths: it integrates
d x / d t = noise - x_0 from t = `end`, and the path says what u is then. An Euler step of
it is a DDIM step of the Gaussian path, since both keep the predicted x_0 and noise.

flow  alpha = 1 - u, sigma = u + sigma_min (1 - u)                    (arXiv 2210.02747)
ddpm  alpha^2 = alpha_bar, sigma^2 = 1 - alpha_bar at step k = u T - 1, between steps by
      interpolation of t                                              (schedule.py)
edm   u = s / (1 + s), where s is the noise's deviation beside data of deviation
      sigma_data: latents are thought of as multiplied by it. z is scaled to unit variance:
      alpha = sigma_data / r, sigma = s / r, r^2 = s^2 + sigma_data^2
                                                                      (arXiv 2206.00364)

Of each: `coefficients(u)`, `draw(u)`, which makes steps of a uniform u, `time(u)` = t, its
inverse `clock(t)`, and `end`, the t where sampling begins.
"""

import dataclasses
import functools

import jax.numpy as jnp
import numpy as np

from videogen.core.types import Array
from videogen.diffusion.schedule import alpha_bar
from videogen.diffusion.shift import shift_time

Coefficients = tuple[Array, Array]  # (alpha, sigma), of u's shape


@dataclasses.dataclass(frozen=True, kw_only=True)
class Flow:
    """Straight lines, to data blurred by `sigma_min` (Movie Gen: 1e-5) at u = 0."""

    sigma_min: float = 0.0
    end = 1.0

    def coefficients(self, u: Array) -> Coefficients:
        """(alpha, sigma)."""
        if not self.sigma_min:
            return 1 - u, u
        return 1 - u, u + self.sigma_min * (1 - u)

    def draw(self, u: Array) -> Array:
        """A time that training may see, for u in [0, 1]."""
        return u

    def time(self, u: Array) -> Array:
        """t."""
        if not self.sigma_min:
            return u
        alpha, sigma = self.coefficients(u)
        return sigma / (alpha + sigma)

    def clock(self, t: Array) -> Array:
        """u; 0 below the t of u = 0."""
        if not self.sigma_min:
            return t
        s = self.sigma_min
        return jnp.maximum((t * (1 + s) - s) / (1 - s + t * s), 0.0)


@dataclasses.dataclass(frozen=True, kw_only=True)
class DDPM:
    """T discrete steps of unit variance; u = (k + 1) / T."""

    betas: str
    num_steps: int
    beta: tuple[float, float]
    snr_shift: float = 1.0
    zero_terminal_snr: bool = False

    @functools.cached_property
    def alpha_bar(self) -> np.ndarray:
        """float64, (num_steps,)."""
        return alpha_bar(
            *(self.betas, self.num_steps, self.beta),
            snr_shift=self.snr_shift,
            zero_terminal_snr=self.zero_terminal_snr,
        )

    @functools.cached_property
    def times(self) -> np.ndarray:
        """t of u = k / T, k = 0 ... T, float64."""
        alpha, sigma = np.sqrt(self.alpha_bar), np.sqrt(1 - self.alpha_bar)
        return np.concatenate([[0.0], sigma / (alpha + sigma)])

    @property
    def end(self) -> float:
        return float(self.times[-1])

    def coefficients(self, u: Array) -> Coefficients:
        """(alpha, sigma)."""
        return unit_variance(self.time(u))

    def draw(self, u: Array) -> Array:
        """The step that u in [0, 1] falls on, each as likely as another."""
        step = jnp.clip(jnp.floor(u * self.num_steps), 0, self.num_steps - 1)
        return (step + 1) / self.num_steps

    def time(self, u: Array) -> Array:
        """t."""
        return jnp.interp(u * self.num_steps, *self._table())

    def clock(self, t: Array) -> Array:
        """u."""
        place, times = self._table()
        return jnp.interp(t, times, place) / self.num_steps

    def _table(self) -> tuple[Array, Array]:
        place = jnp.arange(self.num_steps + 1, dtype=jnp.float32)
        return place, jnp.asarray(self.times, jnp.float32)


@dataclasses.dataclass(frozen=True, kw_only=True)
class EDM:
    """Any noise beside data of deviation `sigma_data`; sampled from `sigma_max` down."""

    sigma_data: float = 0.5
    sigma_max: float = 80.0

    @property
    def end(self) -> float:
        return self.sigma_max / (self.sigma_max + self.sigma_data)

    def coefficients(self, u: Array) -> Coefficients:
        """(alpha, sigma)."""
        return unit_variance(self.time(u))

    def draw(self, u: Array) -> Array:
        """A time that training may see, for u in [0, 1]."""
        return u

    def time(self, u: Array) -> Array:
        """t."""
        return shift_time(u, 1 / self.sigma_data)

    def clock(self, t: Array) -> Array:
        """u."""
        return shift_time(t, self.sigma_data)


Path = Flow | DDPM | EDM


def unit_variance(t: Array) -> Coefficients:
    """(alpha, sigma) with alpha^2 + sigma^2 = 1 and sigma / (alpha + sigma) = t."""
    radius = jnp.sqrt((1 - t) ** 2 + t**2)
    return (1 - t) / radius, t / radius
