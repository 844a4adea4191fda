"""Which noise levels training sees: of each clip, of its chunks, of frames that are given.

Drawn is u, the model's own time (path.py). EDM's ln s ~ N(mean, std) is a logit-normal of
u = s / (1 + s). MAGI's w t / (1 - (1 - w) t) of t = 1 - u is a shift by 1 / w.
"""

import dataclasses
from statistics import NormalDist
from typing import Any

import jax
import jax.numpy as jnp

from videogen.core.errors import ConfigError, suggest
from videogen.core.types import Array
from videogen.diffusion.shift import Shift, shift_time

KINDS = ("logit_normal", "uniform")
Grid = tuple[int, int, int]  # tokens of a clip: (frames, rows, columns)


@dataclasses.dataclass(frozen=True, kw_only=True)
class TimeSampler:
    """u in (0, 1): uniform, or sigmoid(N(mean, std)) (SD3, section 3.1); then shifted.

    clamp: quantiles of the distribution, before the shift, that u stays within.
    stratified: row i of a global batch of B draws from the i-th of B equal shares of the
        distribution, so that a batch sees all noise levels (CogVideoX's explicit uniform
        sampling, arXiv 2408.06072, section 3.3, where a share is a data-parallel rank's).
    shift, shift_rule, shift_tokens, shift_range, shift_frames: see shift.py.
    within: u, shifted, is drawn from this part of the distribution alone: an expert by noise
        level sees no other (Wan2.2).
    chunk_frames: frames of tokens in a chunk that has a time of its own, later chunks being
        the noisier (MAGI-1, arXiv 2505.13211); 0: the whole clip has one.
    clean_frames: at most so many first frames of tokens, 1 ... clean_frames alike, are
        given in a share `clean_rows` of the rows, with u uniform in [0, clean_noise], and
        not learnt.
    """

    kind: str = "logit_normal"
    mean: float = 0.0
    std: float = 1.0
    shift: float = 1.0
    shift_rule: str = "constant"
    shift_tokens: tuple[int, int] = (256, 4096)
    shift_range: tuple[float, float] = (1.0, 3.0)
    shift_frames: bool = False
    clamp: tuple[float, float] = (0.0, 1.0)
    stratified: bool = False
    within: tuple[float, float] = (0.0, 1.0)
    chunk_frames: int = 0
    clean_frames: int = 0
    clean_rows: float = 1.0
    clean_noise: float = 0.0

    def __post_init__(self):
        if self.kind not in KINDS:
            raise ConfigError(f"time.kind={self.kind!r}{suggest(self.kind, KINDS)}")
        if self.std <= 0:
            raise ConfigError(f"time.std={self.std} must be positive")
        self._shift.check("time")
        low, high = self.clamp
        if not 0 <= low < high <= 1:
            raise ConfigError(f"time.clamp={self.clamp} must rise within [0, 1]")
        self._check_within()
        for name in ("chunk_frames", "clean_frames"):
            if getattr(self, name) < 0:
                raise ConfigError(f"time.{name}={getattr(self, name)}: at least 0")
        for name in ("clean_rows", "clean_noise"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(
                    f"time.{name}={getattr(self, name)} must be in [0, 1]"
                )
        if self.stratified and self.chunk_frames:
            raise ConfigError(
                "time.stratified=True gives each row of the batch one share of the noise; "
                f"with time.chunk_frames={self.chunk_frames} it has several"
            )

    @property
    def by_frame(self) -> bool:
        """Whether the frames of a clip may differ in their time."""
        return bool(self.chunk_frames or self.clean_frames)

    def __call__(
        self, key: Array, batch_size: int, shift: float | None = None
    ) -> Array:
        """u_B float32. `shift`: `shift_at` of the clips; default, for shift_rule constant."""
        shift = self.shift if shift is None else shift
        if self.within != (0.0, 1.0):
            return self._between(key, batch_size, shift)
        return shift_time(self.unshifted(key, (batch_size,)), shift)

    def shift_at(self, grid: tuple[Any, Any, Any], num_frames: Any) -> Any:
        """The shift of clips of these tokens, and so many latent frames; of arrays, too."""
        return self._shift.at(grid, num_frames)

    @property
    def _shift(self) -> Shift:
        return Shift(
            rule=self.shift_rule,
            shift=self.shift,
            tokens=self.shift_tokens,
            range=self.shift_range,
            frames=self.shift_frames,
        )

    def unshifted(self, key: Array, shape: tuple[int, ...]) -> Array:
        """u before the shift, float32, of any shape (B, ...)."""
        low, high = self.clamp
        if self.kind == "uniform":
            u = self._share(jax.random.uniform(key, shape))
            return jnp.clip(u.astype(jnp.float32), low, high)
        if self.stratified:
            share = self._share(jax.random.uniform(key, shape))
            normal = jax.scipy.special.ndtri(jnp.clip(share, 1e-6, 1 - 1e-6))
        else:
            normal = jax.random.normal(key, shape)
        if low > 0:
            normal = jnp.maximum(normal, NormalDist().inv_cdf(low))
        if high < 1:
            normal = jnp.minimum(normal, NormalDist().inv_cdf(high))
        return jax.nn.sigmoid(self.mean + self.std * normal).astype(jnp.float32)

    def _between(self, key: Array, batch_size: int, shift: float) -> Array:
        """u_B of `within`."""
        low, high = (shift_time(jnp.float32(u), 1 / shift) for u in self.within)
        if self.kind == "uniform":
            u_B = jax.random.uniform(key, (batch_size,), minval=low, maxval=high)
        else:
            inner = (jnp.clip(u, 1e-6, 1 - 1e-6) for u in (low, high))
            first, last = (
                (jax.scipy.special.logit(u) - self.mean) / self.std for u in inner
            )
            normal_B = jax.random.truncated_normal(key, first, last, (batch_size,))
            u_B = jax.nn.sigmoid(self.mean + self.std * normal_B)
        return jnp.clip(shift_time(u_B, shift), *self.within)

    def _check_within(self) -> None:
        low, high = self.within
        if not 0 <= low < high <= 1:
            raise ConfigError(f"time.within={self.within} must rise within [0, 1]")
        alone = self.clamp == (0.0, 1.0) and not (self.stratified or self.by_frame)
        if self.within != (0.0, 1.0) and not alone:
            raise ConfigError(
                f"time.within={self.within} does not go with time.clamp, stratified, "
                "chunk_frames or clean_frames"
            )

    def _share(self, u: Array) -> Array:
        if not self.stratified:
            return u
        rows = jnp.arange(u.shape[0], dtype=jnp.float32)
        return (rows.reshape(-1, *(1,) * (u.ndim - 1)) + u) / u.shape[0]
