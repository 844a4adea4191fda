"""Which noise levels training sees, and how they shift with the number of tokens."""

import dataclasses

import jax
import jax.numpy as jnp

from videogen.core.errors import ConfigError, suggest
from videogen.core.types import Array

KINDS = ("logit_normal", "uniform")


def shift_time(t: Array, shift: float) -> Array:
    """t' = s t / (1 + (s - 1) t): more noise for more tokens (SD3, arXiv 2403.03206, (23))."""
    return shift * t / (1 + (shift - 1) * t)


@dataclasses.dataclass(frozen=True, kw_only=True)
class TimeSampler:
    """t in (0, 1): uniform, or sigmoid(N(mean, std)) (SD3, section 3.1); then shifted."""

    kind: str = "logit_normal"
    mean: float = 0.0
    std: float = 1.0
    shift: float = 1.0

    def __post_init__(self):
        if self.kind not in KINDS:
            raise ConfigError(f"time.kind={self.kind!r}{suggest(self.kind, KINDS)}")
        if self.shift <= 0 or self.std <= 0:
            raise ConfigError(
                f"time.shift={self.shift} and time.std={self.std} must be positive"
            )

    def __call__(self, key: Array, batch_size: int) -> Array:
        """t_B float32."""
        if self.kind == "uniform":
            t_B = jax.random.uniform(key, (batch_size,))
        else:
            normal_B = jax.random.normal(key, (batch_size,))
            t_B = jax.nn.sigmoid(self.mean + self.std * normal_B)
        return shift_time(t_B.astype(jnp.float32), self.shift)
