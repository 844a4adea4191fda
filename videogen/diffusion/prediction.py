"""What a network predicts, as a combination of data and noise, and what follows from it.

    z = alpha x_0 + sigma noise      what it sees (path.py)
    y = a x_0 + b noise              what it predicts

name      a        b
velocity  -1       1 - sigma_min     flow matching, in our direction: noise - x_0
noise     0        1                 eps (DDPM, arXiv 2006.11239)
data      1        0
v         -sigma   alpha             (arXiv 2202.00512)
edm       sigma    -alpha            F of D = c_skip x + c_out F (arXiv 2206.00364):
                                     of unit-variance z, it is -v whatever sigma_data

Two equations in x_0 and noise, of determinant d = alpha b - sigma a:
    x_0   = (b z - sigma y) / d
    noise = (alpha y - a z) / d
"""

import dataclasses

import jax.numpy as jnp

from videogen.core.types import Array

NAMES = ("velocity", "noise", "data", "v", "edm")
# The smallest d that is divided by; it would be 0 where z or y alone does not tell x_0
# and noise apart: of noise at u = 1, of data at u = 0.
SMALLEST = 1e-5


@dataclasses.dataclass(frozen=True, kw_only=True)
class Prediction:
    """A prediction, at one place of its path. Its four numbers broadcast against z."""

    alpha: Array
    sigma: Array
    a: Array | float
    b: Array | float

    @classmethod
    def of(
        cls, name: str, alpha: Array, sigma: Array, *, sigma_min: float, sign: int
    ) -> "Prediction":
        """The prediction `name`, or its negative (sign=-1)."""
        a, b = {
            "velocity": (-1.0, 1.0 - sigma_min),
            "noise": (0.0, 1.0),
            "data": (1.0, 0.0),
            "v": (-sigma, alpha),
            "edm": (sigma, -alpha),
        }[name]
        return cls(alpha=alpha, sigma=sigma, a=sign * a, b=sign * b)

    @property
    def determinant(self) -> Array:
        """d, kept away from 0."""
        d = jnp.asarray(self.alpha * self.b - self.sigma * self.a)
        small = jnp.abs(d) < SMALLEST
        return jnp.where(small, jnp.where(d < 0, -SMALLEST, SMALLEST), d)

    def see(self, x_0: Array, noise: Array) -> Array:
        """z."""
        return self.alpha * x_0 + self.sigma * noise

    def target(self, x_0: Array, noise: Array) -> Array:
        """y."""
        return self.a * x_0 + self.b * noise

    def data(self, z: Array, y: Array) -> Array:
        """x_0 of what the network saw and said."""
        return (self.b * z - self.sigma * y) / self.determinant

    def noise(self, z: Array, y: Array) -> Array:
        """The noise of what the network saw and said."""
        return (self.alpha * y - self.a * z) / self.determinant

    def velocity(self, z: Array, y: Array) -> Array:
        """noise - x_0, at once: exact where data and noise alone would cancel."""
        forward = self.alpha + self.sigma
        return (forward * y - (self.a + self.b) * z) / self.determinant
