"""The grid both kernels run on: (batch, head, listed step), and how a step is dispatched.

The lists of `steps.py` are prefetched to scalar memory, one after the other for the rows of
the batch if they differ. Windows into q, k, v and the rest follow the lists.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jax.experimental import pallas as pl

from videogen.core.types import Array
from videogen.ops.attention import steps as steps_
from videogen.ops.attention.mask import Mask
from videogen.ops.attention.steps import Steps

# Places in the prefetched lists.
Q, KV, FLAGS, DQ = range(4)
Inputs = dict[str, tuple[Array, pl.BlockSpec]]


@dataclass(frozen=True, kw_only=True)
class Grid:
    """(B, K, T): T steps per head; R = K / G query heads read one key head."""

    B: int
    K: int
    R: int
    steps: Steps

    @property
    def shape(self) -> tuple[int, int, int]:
        return self.B, self.K, self.T

    @property
    def T(self) -> int:
        return self.steps.q_block.shape[1]

    @property
    def lists(self) -> tuple[Array, ...]:
        """Flat int32 lists, in the order Q, KV, FLAGS, DQ."""
        order = (
            self.steps.q_block,
            self.steps.kv_block,
            self.steps.flags,
            self.steps.dq_block,
        )
        return tuple(jnp.asarray(x, jnp.int32).reshape(-1) for x in order)

    @property
    def may_mask(self) -> bool:
        """Whether any step looks at tokens: known for static lists, else assumed."""
        flags = self.steps.flags
        return isinstance(flags, jax.Array) or bool((flags & steps_.MASKED).any())

    def place(self, b: Any, t: Any) -> Any:
        """Where step t of batch row b stands in the flat lists."""
        return t if self.steps.q_block.shape[0] == 1 else b * self.T + t

    def tokens(
        self, which: int, block: tuple[int, int], dim: int, *, keys: bool = False
    ) -> pl.BlockSpec:
        """A window of one head's matrix: tokens along `dim`, by the list `which`.

        keys: the head is the key head that the query head reads.
        """

        def index(b, h, t, *lists):
            at = lists[which][self.place(b, t)]
            head = h // self.R if keys and self.R > 1 else h
            return (b, head, at, 0) if dim == 0 else (b, head, 0, at)

        return pl.BlockSpec((None, None, *block), index)

    def masks(self, mask: Mask | None, block_q: int, block_kv: int) -> Inputs:
        """The features of queries and keys, if some step may need them."""
        if mask is None or not self.may_mask:
            return {}

        def spec(which, rows, block):
            def index(b, h, t, *lists):
                return b if rows > 1 else 0, 0, lists[which][self.place(b, t)]

            return pl.BlockSpec((None, len(mask.bounds), block), index)

        sides = (
            ("q_mask", Q, mask.q_RFN, block_q),
            ("kv_mask", KV, mask.kv_RFS, block_kv),
        )
        return {
            name: (jnp.asarray(x), spec(which, x.shape[0], block))
            for name, which, x, block in sides
        }


class Step:
    """One step inside a kernel: where it is and what its flags ask for."""

    def __init__(self, grid: Grid, lists):
        here = grid.place(pl.program_id(0), pl.program_id(2))
        self.q_block, self.kv_block = lists[Q][here], lists[KV][here]
        self._flags, self._may_mask = lists[FLAGS][here], grid.may_mask

    def has(self, bit: int) -> Array:
        return (self._flags & bit) != 0

    def dispatch(self, run: Callable[[bool], None]) -> None:
        """run(masked) if there is work: two programs, only one of which looks at tokens."""
        live = self.has(steps_.LIVE)
        if not self._may_mask:
            pl.when(live)(lambda: run(False))
            return
        masked = self.has(steps_.MASKED)
        pl.when(live & ~masked)(lambda: run(False))
        pl.when(live & masked)(lambda: run(True))
