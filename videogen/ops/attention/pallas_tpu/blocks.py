"""Block sizes of the kernels, and what both kernels share inside a block."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
from jax import lax
from jax.experimental import pallas as pl

from videogen.core.errors import ConfigError
from videogen.core.types import Array
from videogen.ops.attention.mask import NO_LIMIT, Bound

LANES = 128
LOG2_E = 1.4426950408889634


@dataclass(frozen=True, kw_only=True)
class Blocks:
    """Tokens per grid step, and keys per inner step; one kernel's sizes.

    q, kv: queries and keys of one grid step, multiples of 128.
    step: keys whose scores are in flight at once, divides kv.
    """

    q: int
    kv: int
    step: int

    def __post_init__(self):
        for name, size in (("q", self.q), ("kv", self.kv), ("step", self.step)):
            if size < LANES or size % LANES:
                raise ConfigError(
                    f"attention blocks: {name}={size} must be a multiple of {LANES}"
                )
        if self.kv % self.step:
            raise ConfigError(
                f"attention blocks: step={self.step} must divide kv={self.kv}"
            )

    @property
    def num_inner(self) -> int:
        return self.kv // self.step

    def part(self, i: int) -> Any:
        """The keys of inner step i within the block."""
        return pl.ds(i * self.step, self.step)

    def fit(self, num_q: int, num_kv: int) -> "Blocks":
        """No larger than the tokens need."""
        q = min(self.q, round_up(num_q, LANES))
        step = min(self.step, round_up(num_kv, LANES))
        kv = min(self.kv, round_up(num_kv, step))
        return Blocks(q=q, kv=kv, step=step)


def dot(a: Array, b: Array) -> Array:
    """A matrix product in the operands' precision, accumulated in float32."""
    exact = a.dtype == jnp.float32
    return lax.dot_general(
        a,
        b,
        (((1,), (0,)), ((), ())),
        precision=lax.Precision.HIGHEST if exact else None,
        preferred_element_type=jnp.float32,
    )


def num_inner(blocks: Blocks, num_kv: int, *, only_tail: bool) -> int:
    """Inner steps of a block: all, or those the ragged last block has keys for."""
    return -(-(num_kv % blocks.kv) // blocks.step) if only_tail else blocks.num_inner


def attends(
    ins, part, bounds: Sequence[Bound], num_kv: Array | None, shape: tuple[int, ...]
) -> Array:
    """Boolean (S, N) of one tile: the mask, and within the real keys.

    part: the tile's keys within the block.
    num_kv: keys of the tile that exist, counted from its first; None: all.
    """
    inside = jnp.ones(shape, jnp.bool_)
    if num_kv is not None:
        inside &= lax.broadcasted_iota(jnp.int32, shape, 0) < num_kv
    if not bounds:
        return inside
    q_FN, kv_SF = ins["q_mask"][...], ins["kv_mask"][:, part].T
    for f, (low, high) in enumerate(bounds):
        q_1N, kv_S1 = q_FN[f : f + 1, :], kv_SF[:, f : f + 1]
        if low == high:
            inside &= q_1N == kv_S1 + low
            continue
        difference_SN = q_1N - kv_S1
        if low > -NO_LIMIT:
            inside &= difference_SN >= low
        if high < NO_LIMIT:
            inside &= difference_SN <= high
    return inside


def zero_beyond(x: Array, count: Array, dim: int) -> Array:
    """x with zeros at and beyond `count` along `dim`, whatever stood there (NaN too)."""
    index = lax.broadcasted_iota(jnp.int32, x.shape, dim)
    return jnp.where(index < count, x, jnp.zeros_like(x))


def round_up(number: int, multiple: int) -> int:
    return -(-number // multiple) * multiple
