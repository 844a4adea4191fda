"""More noise for more tokens: the factor by which noise over data grows, and its rules.

    t' = s t / (1 + (s - 1) t),  or  t' / (1 - t') = s t / (1 - t)       (1)

(SD3, arXiv 2403.03206, (23).) Of sigma = t / (1 - t) it is a factor, of a logit-normal's
mean an addition of log s. So one s serves sigma scaled by sqrt(frames) (Cosmos), a mean
that grows with the tokens (LTX) and time shifted by resolution (Open-Sora).

rule       s
constant   shift
linear     on the line through (tokens[0], range[0]) and (tokens[1], range[1])
exp        exp of that line
sqrt       sqrt(n / tokens[0])

each times `shift`. n counts the tokens of the video, or, with `frames`, those of a frame,
and then s is multiplied by sqrt(latent frames).
"""

import dataclasses
import math
from typing import Any

import jax.numpy as jnp

from videogen.core.errors import ConfigError, suggest
from videogen.core.types import Array

RULES = ("constant", "linear", "exp", "sqrt")


Number = float | Array


def shift_time(t: Array, shift: Number) -> Array:
    """t', equation (1)."""
    return shift * t / (1 + (shift - 1) * t)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Shift:
    """The factor s of a video of (frames, rows, columns) tokens."""

    rule: str
    shift: float
    tokens: tuple[int, int]
    range: tuple[float, float]
    frames: bool

    def check(self, where: str) -> None:
        """ConfigError for what cannot be."""
        if self.rule not in RULES:
            raise ConfigError(
                f"{where}.shift_rule={self.rule!r}{suggest(self.rule, RULES)}"
            )
        if self.shift <= 0:
            raise ConfigError(f"{where}.shift={self.shift} must be positive")
        if not 0 < self.tokens[0] < self.tokens[1]:
            raise ConfigError(
                f"{where}.shift_tokens={self.tokens} must be positive and rise"
            )
        if self.rule == "linear" and min(self.range) <= 0:
            raise ConfigError(f"{where}.shift_range={self.range} must be positive")

    def at(self, grid: tuple[Any, Any, Any], num_frames: Any) -> Any:
        """s: a float, or of arrays of sizes an array.

        num_frames: of the latent; the grid may hold fewer, by patches of frames.
        """
        maths = math if isinstance(grid[0], int) else jnp
        count = math.prod(grid[1:] if self.frames else grid)
        factor = self.shift * (maths.sqrt(num_frames) if self.frames else 1.0)
        (n0, n1), (y0, y1) = self.tokens, self.range
        line = y0 + (y1 - y0) * (count - n0) / (n1 - n0)
        if self.rule == "linear":
            if maths is math and line <= 0:
                raise ConfigError(
                    f"time.shift_rule='linear' gives {line:.3g} at {count} tokens; it "
                    f"must stay positive: see time.shift_tokens={self.tokens}"
                )
            return factor * line
        if self.rule == "exp":
            return factor * maths.exp(line)
        return factor * (maths.sqrt(count / n0) if self.rule == "sqrt" else 1.0)
