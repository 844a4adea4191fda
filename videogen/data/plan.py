"""Which records make the batch of a step: a pure function of (ids, shapes, seed, step).

Within a bucket the records come as one endless stream, epoch after epoch, each epoch in
its own permutation; batch j takes the stream's positions [jB, (j+1)B). So every record
comes once per epoch and no remainder is dropped. Buckets (latent shapes) take turns by a
seeded schedule, repeated in cycles, in which each comes as often as its clips of a cycle
ask: its size, or its share of a mixture (mixture.py).

Nothing is stored: any host finds any step's batch, so the data's whole state is `step`.
"""

import dataclasses
import functools
import hashlib
import json
import math

import numpy as np

from videogen.core.errors import ConfigError
from videogen.data.hashing import draw64, permute

_WINDOW = 4096  # clips whose order is found at a time
LONGEST_CYCLE = 1 << 22  # steps: what a process lists, 32 MB
MOST_PROGRAMS = 12  # latent shapes of a plan: each is a program of its own


@dataclasses.dataclass(frozen=True, kw_only=True)
class Bucket:
    """The records of one latent shape."""

    name: str
    num_records: int
    latent_shape: tuple[int, int, int, int]  # (F, H, W, C)
    ids_sha256: str  # of the ordered clip ids


def batch_of_tokens(least: int, batch_tokens: int, tokens: int) -> int:
    """Clips of so many tokens in a batch: the most `batch_tokens` hold, in `least`s."""
    return least * max(1, batch_tokens // (least * tokens))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plan:
    """The order of all batches. ConfigError for no bucket, an empty one, or no batch.

    counts: clips of each bucket in a cycle; default, its records.
    sizes: clips of a batch of each bucket; default, `global_batch`.
    ramp: (until which step, a smaller `global_batch`) pairs.
    """

    buckets: tuple[Bucket, ...]
    seed: int
    global_batch: int
    ramp: tuple[tuple[int, int], ...] = ()
    counts: tuple[int, ...] = ()
    sizes: tuple[int, ...] = ()

    def __post_init__(self):
        if self.global_batch < 1:
            raise ConfigError(f"global_batch={self.global_batch} must be at least 1")
        empty = [bucket.name for bucket in self.buckets if bucket.num_records < 1]
        if empty or not self.buckets:
            raise ConfigError(f"buckets without records: {empty or 'none given'}")
        shapes = {bucket.latent_shape for bucket in self.buckets}
        if len(shapes) > MOST_PROGRAMS:
            raise ConfigError(
                f"{len(shapes)} latent shapes, each compiled into a program of its "
                f"own; at most {MOST_PROGRAMS}, or packs (data.row_tokens), would work"
            )
        assert not (self.ramp and self.sizes), "a ramp is of one size of batches"

    @functools.cached_property
    def id(self) -> str:
        """16 hex digits of all that determines the batches; captions are no part."""
        buckets = [(b.num_records, b.latent_shape, b.ids_sha256) for b in self.buckets]
        facts = ["plan 2", self.seed, self.global_batch, buckets]
        more = (self.ramp, self.counts, self.sizes)
        content = json.dumps([*facts, *(fact for fact in more if fact)])
        return hashlib.sha256(content.encode()).hexdigest()[:16]

    def batch(self, step: int) -> tuple[int, np.ndarray]:
        """(bucket, record_B): an index into `buckets`, and int64 indices into it."""
        bucket = self._bucket(step)
        size = self.buckets[bucket].num_records
        start = self._start(bucket, step)
        stop = start + self.batch_size(step)
        first, last = start // _WINDOW, (stop - 1) // _WINDOW
        windows = (_window(self.seed, bucket, size, n) for n in range(first, last + 1))
        record_P = np.concatenate([*windows])
        return bucket, record_P[start - first * _WINDOW : stop - first * _WINDOW]

    def batch_size(self, step: int) -> int:
        """Clips of a step."""
        if self.sizes:
            return self.sizes[self._bucket(step)]
        sizes = (size for until, size in self.ramp if step < until)
        return next(sizes, self.global_batch)

    def growth(self, step: int) -> float:
        """How much larger than the step's batch, in latents, the largest of all is."""
        bucket = self._bucket(step)
        latent_N = [math.prod(bucket.latent_shape) for bucket in self.buckets]
        most = max(n * self._size(i) for i, n in enumerate(latent_N))
        return most / (latent_N[bucket] * self.batch_size(step))

    @property
    def mean_clips(self) -> tuple[float, ...]:
        """Clips of each bucket in a mean step, after the ramp."""
        bucket_T, places = self._schedule
        return tuple(
            len(places[bucket]) * self._size(bucket) / len(bucket_T)
            for bucket in range(len(self.buckets))
        )

    def _size(self, bucket: int) -> int:
        return self.sizes[bucket] if self.sizes else self.global_batch

    def _start(self, bucket: int, step: int) -> int:
        """Clips of a bucket that the steps before took."""
        start = turns = 0
        for until, size in (*self.ramp, (step, self._size(bucket))):
            before, turns = turns, self._turns(bucket, min(until, step))
            start += (turns - before) * size
        return start

    def _bucket(self, step: int) -> int:
        """Which bucket a step serves."""
        bucket_T, _ = self._schedule
        return int(bucket_T[step % len(bucket_T)])

    def _turns(self, bucket: int, step: int) -> int:
        """How often a bucket came in the steps before."""
        bucket_T, places = self._schedule
        cycle, place = divmod(step, len(bucket_T))
        came = int(np.searchsorted(places[bucket], place))
        return cycle * len(places[bucket]) + came

    @functools.cached_property
    def _schedule(self) -> tuple[np.ndarray, list[np.ndarray]]:
        """One cycle of T steps: (bucket_T, the places of each bucket in it)."""
        counts = self.counts or [bucket.num_records for bucket in self.buckets]
        times = [n / self._size(i) for i, n in enumerate(counts)]
        # Streams are endless, so a shorter cycle loses nothing but the last digits of shares.
        shrink = min(1.0, LONGEST_CYCLE / sum(times))
        times = [max(1, round(n * shrink)) for n in times]
        if len(times) == 1:  # the schedule of one bucket says nothing: keep it short
            times = [1]
        bucket_T = np.repeat(np.arange(len(times)), times)
        places_T = np.arange(len(bucket_T))
        key_T = draw64("schedule", self.seed, np.zeros_like(places_T))
        bucket_T = bucket_T[permute(places_T, len(bucket_T), key_T)]
        return bucket_T, [np.flatnonzero(bucket_T == b) for b in range(len(times))]


@functools.lru_cache(maxsize=4 * MOST_PROGRAMS)
def _window(seed: int, bucket: int, size: int, number: int) -> np.ndarray:
    """Records at P places of a bucket's endless stream: of many, hardly dearer than of few."""
    place_P = np.arange(number * _WINDOW, (number + 1) * _WINDOW)
    epoch_P, index_P = np.divmod(place_P, size)
    return permute(index_P, size, draw64("epoch", seed, bucket, epoch_P))
