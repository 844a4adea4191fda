"""Patch n' Pack (arXiv 2307.06304): rows of fixed tokens, each of clips of any shapes.

Which clips share a row is a pure function of (ids, shapes, seed, step), like `plan.py`.
Clips of one bucket have one length, so the rows of a cycle are a few patterns (how many
clips of each bucket), each many times over: `pack` finds them from the counts alone, and
nothing is ever listed clip by clip. Row i of the cycle, counted pattern by pattern, takes
its clips of a bucket from that bucket's stream where the rows before it stopped; streams are
endless, epoch after epoch, each in its own permutation. Rows come in a permutation of their
own. So of every bucket each record comes once per epoch, and a row of step 10^9 costs what
the first costs.

`pack` starts a row with the longest clip left and fills it by the subset of what is left
that comes nearest, of those the one of fewest clips (a knapsack, by dynamic programming over
sums); the pattern is repeated while its clips last.
"""

import dataclasses
import functools
import hashlib
import itertools
import json
import math
from collections.abc import Sequence

import numpy as np

from videogen.core.errors import ConfigError
from videogen.data.hashing import draw64, permute
from videogen.data.plan import Bucket

MOST_KINDS = 64  # lengths that a row is filled from, the most frequent ones
NEVER = np.int32(1 << 20)
ALL = slice(None)

Place = tuple[int, int]  # a bucket, a record of it


@dataclasses.dataclass(frozen=True, kw_only=True)
class Packs:
    """The rows of all batches.

    counts: clips of each bucket in a cycle (mixture.py). tokens: of a clip of each bucket.
    Raises ConfigError for a clip longer than a row.
    """

    buckets: tuple[Bucket, ...]
    tokens: tuple[int, ...]
    counts: tuple[int, ...]
    seed: int
    global_batch: int  # rows
    row_tokens: int
    row_clips: int  # at most

    def __post_init__(self):
        for name in ("global_batch", "row_tokens", "row_clips"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name}={getattr(self, name)} must be at least 1")
        if not self.buckets:
            raise ConfigError("no bucket to pack")
        longest = max(self.tokens)
        if longest > self.row_tokens:
            name = self.buckets[self.tokens.index(longest)].name
            raise ConfigError(
                f"data.row_tokens={self.row_tokens}, but a clip of bucket {name} has "
                f"{longest} tokens; at least {longest} would work"
            )

    @functools.cached_property
    def id(self) -> str:
        """16 hex digits of all that determines the batches; captions are no part."""
        buckets = [(b.num_records, b.latent_shape, b.ids_sha256) for b in self.buckets]
        sizes = [self.tokens, self.counts, self.row_tokens, self.row_clips]
        content = json.dumps(["packs 1", self.seed, self.global_batch, buckets, sizes])
        return hashlib.sha256(content.encode()).hexdigest()[:16]

    def batch_size(self, step: int) -> int:
        """Rows of a step."""
        return self.global_batch

    def rows(self, step: int, wanted: slice | np.ndarray = ALL) -> list[list[Place]]:
        """The (bucket, record) pairs of each row of the step's batch that is wanted."""
        first = step * self.global_batch
        position_R = np.arange(first, first + self.global_batch)[wanted]
        cycle_R, place_R = np.divmod(position_R, self.num_rows)
        row_R = permute(place_R, self.num_rows, draw64("packs", self.seed, cycle_R))
        bucket_N, record_N, clips_R = self._clips(cycle_R, row_R)
        pairs = list(zip(bucket_N.tolist(), record_N.tolist(), strict=True))
        ends = np.cumsum(clips_R).tolist()
        return [pairs[a:b] for a, b in itertools.pairwise([0, *ends])]

    @property
    def num_rows(self) -> int:
        """Rows of a cycle."""
        return int(self._ends[-1])

    @property
    def fill(self) -> float:
        """The share of a cycle's tokens that clips fill."""
        filled = sum(n * t for n, t in zip(self.counts, self.tokens, strict=True))
        return filled / (self.num_rows * self.row_tokens)

    @property
    def mean_clips(self) -> tuple[float, ...]:
        """Clips of each bucket in a mean step."""
        return tuple(n * self.global_batch / self.num_rows for n in self.counts)

    def _clips(
        self, cycle_R: np.ndarray, row_R: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(bucket_N, record_N) of all clips of these rows, and how many each row has."""
        pattern_R = np.searchsorted(self._ends, row_R, side="right")
        within_R = row_R - np.concatenate([[0], self._ends])[pattern_R]
        count_RK = self._patterns[pattern_R]
        # Where a row's clips of a bucket start in the bucket's stream.
        start_RK = cycle_R[:, None] * np.asarray(self.counts) + self._starts[pattern_R]
        start_RK += within_R[:, None] * count_RK
        some = np.nonzero(count_RK)  # row by row, and in a row bucket by bucket
        count_S = count_RK[some]
        before_S = np.cumsum(count_S) - count_S
        position_N = np.repeat(start_RK[some] - before_S, count_S)
        position_N += np.arange(len(position_N))
        bucket_N = np.repeat(some[1], count_S)
        size_N = np.array([bucket.num_records for bucket in self.buckets])[bucket_N]
        epoch_N, index_N = np.divmod(position_N, size_N)
        key_N = draw64("epoch", self.seed, bucket_N, epoch_N)
        return bucket_N, permute(index_N, size_N, key_N), count_RK.sum(axis=1)

    @functools.cached_property
    def _solved(self) -> tuple[np.ndarray, np.ndarray]:
        return pack(self.tokens, self.counts, self.row_tokens, self.row_clips)

    @property
    def _patterns(self) -> np.ndarray:
        """int64 (patterns, buckets): clips of each bucket in a row of that pattern."""
        return self._solved[0]

    @functools.cached_property
    def _ends(self) -> np.ndarray:
        """How many rows there are up to the end of each pattern."""
        return np.cumsum(self._solved[1])

    @functools.cached_property
    def _starts(self) -> np.ndarray:
        """Where each pattern's first row starts in the streams of the buckets."""
        pattern_PK, repeat_P = self._solved
        used_PK = np.cumsum(pattern_PK * repeat_P[:, None], axis=0)
        return np.concatenate([np.zeros_like(used_PK[:1]), used_PK[:-1]])


def pack(
    tokens: Sequence[int], counts: Sequence[int], row_tokens: int, row_clips: int
) -> tuple[np.ndarray, np.ndarray]:
    """(pattern_PK, repeat_P) int64 that use up the counts; see the module's docstring."""
    unit = math.gcd(row_tokens, *tokens)
    size_K = np.asarray(tokens, np.int64) // unit
    left_K = np.asarray(counts, np.int64).copy()
    patterns, repeats = [], []
    while left_K.any():
        pattern_K = _fill_row(size_K, left_K, row_tokens // unit, row_clips)
        used_K = pattern_K > 0
        repeat = int(np.min(left_K[used_K] // pattern_K[used_K]))
        left_K -= repeat * pattern_K
        patterns.append(pattern_K)
        repeats.append(repeat)
    return np.stack(patterns), np.asarray(repeats)


def _fill_row(
    size_K: np.ndarray, left_K: np.ndarray, room: int, most: int
) -> np.ndarray:
    """One row: the longest clip left, and what fills it best beside it."""
    pattern_K = np.zeros_like(left_K)
    longest = int(np.argmax(np.where(left_K > 0, size_K, -1)))
    pattern_K[longest] = 1
    room, left_K = room - int(size_K[longest]), left_K - pattern_K
    fits_K = (left_K > 0) & (size_K <= room)
    kinds = sorted(np.flatnonzero(fits_K), key=lambda k: -left_K[k])[:MOST_KINDS]
    fewest = [np.full(room + 1, NEVER, np.int32)]
    fewest[0][0] = 0
    for kind in kinds:
        size = int(size_K[kind])
        best = fewest[-1]
        for _ in range(min(int(left_K[kind]), room // size, most - 1)):
            more = best.copy()
            more[size:] = np.minimum(best[size:], best[:-size] + 1)
            if np.array_equal(more, best):
                break
            best = more
        fewest.append(best)
    total = int(np.flatnonzero(fewest[-1] <= most - 1)[-1])
    for kind, before, after in reversed(
        list(zip(kinds, fewest, fewest[1:], strict=False))
    ):
        size, wanted, taken = int(size_K[kind]), after[total], 0
        while before[total] + taken != wanted:
            total, taken = total - size, taken + 1
        pattern_K[kind] += taken
    return pattern_K
