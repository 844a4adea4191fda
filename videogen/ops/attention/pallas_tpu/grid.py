"""The grid both kernels run on: (batch, heads, listed step), and how a step is dispatched.

The lists of `steps.py` are prefetched to scalar memory, one after the other for the rows of
the batch if they differ. Windows into q, k, v and the rest follow the lists.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import pallas as pl

from videogen.core.errors import ConfigError
from videogen.core.types import Array
from videogen.ops.attention import steps as steps_
from videogen.ops.attention.mask import Mask
from videogen.ops.attention.pallas_tpu.blocks import KV_COLUMNS
from videogen.ops.attention.steps import Steps

# Places in the prefetched lists.
Q, KV, FLAGS, DQ = range(4)
Inputs = dict[str, tuple[Array, pl.BlockSpec]]
OF_KEYS, SHARED = ("k", "v"), ("q_mask", "kv_mask", KV_COLUMNS)  # of a key head, of all


@dataclass(frozen=True, kw_only=True)
class Grid:
    """(B, K / heads, T): T steps per head; R = K / G query heads read one key head.

    heads: query heads of one grid step, which divides K, and R unless R divides it.
    """

    B: int
    K: int
    R: int
    heads: int
    steps: Steps

    def __post_init__(self):
        if self.K % self.heads or (self.heads % self.R and self.R % self.heads):
            raise ConfigError(
                f"attention blocks: heads={self.heads} must divide the {self.K} query "
                f"heads, and be a divisor or a multiple of the {self.R} that share a key head"
            )

    @property
    def shape(self) -> tuple[int, int, Any]:
        """As long as the longest list, which may be known at run time only."""
        return self.B, self.K // self.heads, self.steps.count

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

    def metadata(self, dense: Steps, cold: tuple[int, ...]) -> dict[str, str]:
        """How often each part of the kernel runs, for `videogen/cost`: executions per step.

        dense: the list without a mask, which stands for one known at run time only.
        cold: the flags of the parts without products, in the order of the code.
        """
        static = isinstance(self.steps.flags, np.ndarray)
        flags = self.steps.flags if static else dense.flags
        live, masked = flags & steps_.LIVE != 0, flags & steps_.MASKED != 0
        bodies = [np.mean(live & ~masked), np.mean(live & masked)]
        calls = self.B * self.K // self.heads
        shares = {
            "bodies": [float(x) for x in bodies[: 1 + self.may_mask]],
            "cold": [float(np.mean(flags & bit != 0)) for bit in cold],
            "steps": None if static else calls * int(dense.count),
        }
        return {"shares": json.dumps(shares)}

    def place(self, b: Any, t: Any) -> Any:
        """Where step t of batch row b stands in the flat lists."""
        return t if self.steps.q_block.shape[0] == 1 else b * self.T + t

    def tokens(
        self,
        which: int,
        block: tuple[int, int],
        dim: int,
        *,
        keys: bool = False,
        buffers: int = 2,
    ) -> pl.BlockSpec:
        """A window of matrices, one a head: tokens along `dim`, by the list `which`.

        keys: the heads are the key heads that the step's query heads read.
        buffers: with one, a step waits for its block, and less VMEM is taken.
        """
        shared = keys and self.R > self.heads  # by several steps

        def index(b, h, t, *lists):
            at = lists[which][self.place(b, t)]
            h = h * self.heads // self.R if shared else h
            return (b, h, at, 0) if dim == 0 else (b, h, 0, at)

        num_heads = max(1, self.heads // self.R) if keys else self.heads
        mode = None if buffers == 2 else pl.Buffered(buffers)
        return pl.BlockSpec((None, num_heads, *block), index, pipeline_mode=mode)

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
    """One step inside a kernel: where it is, what its flags ask for, and of which heads.

    refs: windows and scratch by name, a matrix a head; but for masks, which all share.
    """

    def __init__(self, grid: Grid, lists: Any, refs: dict[str, Any]):
        here = grid.place(pl.program_id(0), pl.program_id(2))
        self.q_block, self.kv_block = lists[Q][here], lists[KV][here]
        self._flags, self._may_mask = lists[FLAGS][here], grid.may_mask
        self._heads = [_head(refs, j, grid) for j in range(grid.heads)]

    def when(self, bit: int, run: Callable[[dict[str, Any]], None]) -> None:
        """run(head's refs) for each head, if the step has the flag."""
        pl.when(self._has(bit))(lambda: self._each(run))

    def when_once(self, bit: int, run: Callable[[dict[str, Any]], None]) -> None:
        """run(refs) of what all heads share, if the step has the flag."""
        pl.when(self._has(bit))(lambda: run(self._heads[0]))

    def dispatch(self, run: Callable[..., None]) -> None:
        """run(head's refs, masked=) for each head, if there is work.

        Two programs, only one of which looks at tokens.
        """
        live, masked = self._has(steps_.LIVE), self._has(steps_.MASKED)
        if not self._may_mask:
            pl.when(live)(lambda: self._each(partial(run, masked=False)))
            return
        pl.when(live & ~masked)(lambda: self._each(partial(run, masked=False)))
        pl.when(live & masked)(lambda: self._each(partial(run, masked=True)))

    def _has(self, bit: int) -> Array:
        return (self._flags & bit) != 0

    def _each(self, run: Callable[[dict[str, Any]], None]) -> None:
        for head in self._heads:
            run(head)


def _head(refs: dict[str, Any], j: int, grid: Grid) -> dict[str, Any]:
    """What query head number j of a step reads and writes."""
    of_kv = j // grid.R if grid.heads > grid.R else 0
    places = dict.fromkeys(refs, j) | dict.fromkeys(OF_KEYS, of_kv)
    return {
        name: ref if name in SHARED else ref.at[places[name]]
        for name, ref in refs.items()
    }
