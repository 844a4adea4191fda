"""Block sizes of the kernels, and what both kernels share inside a block."""

import functools
import operator
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import jax.numpy as jnp
from jax import lax
from jax.experimental import pallas as pl

from videogen.core.errors import ConfigError
from videogen.core.types import Array
from videogen.ops.attention.local import EMPTY
from videogen.ops.attention.mask import NO_LIMIT, Bound

LANES = 128
LOG2_E = 1.4426950408889634
# A score that is excluded: exp2 of it is 0, whatever maximum or logsumexp is subtracted.
# Set before the exponential, or the compiler would keep the masks of whole tiles around.
EXCLUDED = 4 * EMPTY
KV_COLUMNS = "kv_columns"  # scratch of `write_columns`, in refs


@dataclass(frozen=True, kw_only=True)
class Blocks:
    """Tokens per grid step, and keys per inner step; one kernel's sizes.

    q, kv: queries and keys of one grid step, multiples of 128.
    step: keys whose scores are in flight at once, divides kv.
    heads: query heads of one grid step, divides their number. Several hide each other's
        latencies and share what a step costs however small its blocks.
    buffers: of the backward kernel's windows on keys, 1 or 2. With one, each key block's
        transfers are waited for, and more of dq fits in VMEM.
    """

    q: int
    kv: int
    step: int
    heads: int = 1
    buffers: int = 2

    def __post_init__(self):
        for name, size in (("q", self.q), ("kv", self.kv), ("step", self.step)):
            if size < LANES or size % LANES:
                raise ConfigError(
                    f"attention blocks: {name}={size} must be a multiple of {LANES}"
                )
        if self.heads < 1:
            raise ConfigError(
                f"attention blocks: heads={self.heads} must be at least 1"
            )
        if self.buffers not in (1, 2):
            raise ConfigError(
                f"attention blocks: buffers={self.buffers} must be 1 or 2"
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
        return replace(self, q=q, kv=kv, step=step)


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
    refs, part, bounds: Sequence[Bound], num_kv: Array | None, shape: tuple[int, ...]
) -> Array:
    """Boolean (S, N) of one tile: the mask, and within the real keys.

    part: the tile's keys within the block.
    num_kv: keys of the tile that exist, counted from its first; None: all.
    """
    conditions = []
    if num_kv is not None:
        conditions.append(lax.broadcasted_iota(jnp.int32, shape, 0) < num_kv)
    for f, bound in enumerate(bounds):
        q_1N = refs["q_mask"][f : f + 1, :]
        if KV_COLUMNS in refs:
            kv_SL = refs[KV_COLUMNS][f, part, :]
            kv_SN = jnp.tile(kv_SL, (1, shape[1] // LANES))
        else:
            kv_SN = refs["kv_mask"][f : f + 1, part].T
        conditions.append(_within(q_1N, kv_SN, bound))
    return functools.reduce(operator.and_, conditions)


def write_columns(refs) -> None:
    """The features of a block's keys, each in all lanes of its row: (F, kv, LANES).

    To turn them costs transposes, which the backward kernel has no time for at every step.
    """
    kv_FS, columns_ref = refs["kv_mask"][...], refs[KV_COLUMNS]
    for f in range(kv_FS.shape[0]):
        columns_ref[f] = jnp.broadcast_to(kv_FS[f : f + 1].T, columns_ref.shape[1:])


def _within(q_1N: Array, kv_SN: Array, bound: Bound) -> Array:
    """low <= q - kv <= high in the fewest operations per pair: one comparison."""
    low, high = bound
    if low == high:
        return q_1N - low == kv_SN
    if high >= NO_LIMIT:
        return q_1N - low >= kv_SN
    if low <= -NO_LIMIT:
        return q_1N - high <= kv_SN
    # Below low the difference wraps around to a number above any other.
    above_low = (q_1N - low) - kv_SN
    return lax.bitcast_convert_type(above_low, jnp.uint32) <= high - low


def zero_beyond(x: Array, count: Array, dim: int) -> Array:
    """x with zeros at and beyond `count` along `dim`, whatever stood there (NaN too)."""
    index = lax.broadcasted_iota(jnp.int32, x.shape, dim)
    return jnp.where(index < count, x, jnp.zeros_like(x))


def round_up(number: int, multiple: int) -> int:
    return -(-number // multiple) * multiple
