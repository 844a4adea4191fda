"""Hypothesis strategies: attention calls of all shapes, patterns and segments."""

import math
from dataclasses import dataclass, replace
from functools import cached_property, partial

import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import strategies as st
from ops.attention.contract import DTYPES, QUICK_COMPILE, evaluate, make_inputs

from videogen.ops.attention.patterns import (
    And,
    BlockCausal,
    Full,
    SlidingTile,
    Spatial,
    Strided,
    Temporal,
    Window,
    grid_coords,
)

PATTERNS = {
    "none": lambda case: None,
    "full": lambda case: Full(),
    "spatial": lambda case: Spatial(),
    "temporal": lambda case: Temporal(),
    "window": lambda case: Window(
        **dict(zip(("frames", "rows", "columns"), case.halves, strict=True))
    ),
    "tile": lambda case: SlidingTile(
        tile=case.tile,
        window=tuple(2 * half + 1 for half in case.halves),
        grid=case.grid,
    ),
    "strided": lambda case: Strided(stride=case.stride, grid=case.grid),
    "grouped": lambda case: Strided(stride=case.stride, grid=case.grid, group=True),
    "causal": lambda case: BlockCausal(chunk=case.stride),
    "causal window": lambda case: And(
        patterns=(BlockCausal(chunk=case.stride), Window(frames=case.halves[0]))
    ),
}
COORDS, SEGMENTS = (
    ("q_coords_BN4", "kv_coords_BS4"),
    ("q_segments_BN", "kv_segments_BS"),
)


@dataclass(frozen=True, kw_only=True)
class Case:
    """One call of attention, but for its plan. Tokens are random ones of a grid."""

    batch: int
    lengths: tuple[int, int]
    heads: tuple[int, int]  # G and K / G
    head_dim: int
    dtype: object
    pattern_name: str
    tile: tuple[int, int, int]
    counts: tuple[int, int, int]  # of tiles in the grid
    halves: tuple[int, int, int]
    stride: int
    num_segments: int  # 0: no segments
    is_static: bool
    seed: int

    @property
    def grid(self):
        return tuple(a * b for a, b in zip(self.tile, self.counts, strict=True))

    @property
    def pattern(self):
        return PATTERNS[self.pattern_name](self)

    @property
    def shape(self):
        N, S = self.lengths
        if self.pattern is not None:
            N, S = (min(length, math.prod(self.grid)) for length in (N, S))
        G, R = self.heads
        return self.batch, N, S, G * R, G, self.head_dim

    @cached_property
    def tokens(self):
        """Coordinates and segments, as keywords of attention, NumPy."""
        random, tokens = np.random.default_rng(self.seed), {}
        B, *lengths, _, _, _ = self.shape
        if self.pattern is not None:
            rows = grid_coords(self.grid)
            for name, length in zip(COORDS, lengths, strict=True):
                tokens[name] = rows[random.permutation(len(rows))[:length]]
        if self.num_segments:
            for name, length in zip(SEGMENTS, lengths, strict=True):
                ids = random.integers(0, self.num_segments, (B, length), np.int32)
                tokens[name] = np.sort(ids)
        return tokens

    def allowed(self):
        """Boolean (B, N, S)."""
        B, N, S, *_ = self.shape
        allowed = np.ones((B, N, S), bool)
        if self.pattern is not None:
            mask = self.pattern.mask(*(self.tokens[name] for name in COORDS))
            allowed &= True if mask is None else mask.attends()
        if self.num_segments:
            q_ids, kv_ids = (self.tokens[name] for name in SEGMENTS)
            allowed &= q_ids[:, :, None] == kv_ids[:, None]
        return allowed

    def run(self, plan):
        """(inputs, results) as `contract.run`; NumPy tokens if static, else JAX."""
        inputs = make_inputs(self.shape, self.dtype, self.seed)
        jit = partial(jax.jit, compiler_options=QUICK_COMPILE)
        call = partial(evaluate, replace(plan, pattern=self.pattern))
        if self.is_static:
            return inputs, jit(lambda inputs: call(inputs, self.tokens))(inputs)
        tokens = {name: jnp.asarray(x) for name, x in self.tokens.items()}
        return inputs, jit(call)(inputs, tokens)


def cases(max_tokens=300):
    """Plain numbers only: patterns are made outside of the strategy."""
    length, flag = st.integers(1, max_tokens), st.booleans()
    return st.builds(
        Case,
        batch=st.integers(1, 2),
        lengths=st.tuples(length, length),
        heads=st.tuples(st.integers(1, 2), st.integers(1, 3)),
        head_dim=st.sampled_from((32, 64, 72, 80, 96, 128, 200, 256)),
        dtype=st.sampled_from(DTYPES),
        pattern_name=st.sampled_from(sorted(PATTERNS)),
        tile=st.tuples(*[st.integers(1, 2)] * 3),
        counts=st.tuples(*[st.integers(1, 4)] * 3),
        halves=st.tuples(*[st.integers(0, 2)] * 3),
        stride=st.integers(1, 4),
        num_segments=st.integers(0, 3),
        is_static=flag,
        seed=st.integers(0, 99),
    )
