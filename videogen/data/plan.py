"""Which records make the batch of a step: a pure function of (ids, shapes, seed, step).

Within a bucket the records come as one endless stream, epoch after epoch, each epoch in
its own permutation; batch j takes the stream's positions [jB, (j+1)B). So every record
comes once per epoch and no remainder is dropped. Buckets (latent shapes) take turns by a
seeded schedule, repeated in cycles, in which each comes as often as its size asks.

Nothing is stored: any host finds any step's batch, so the data's whole state is `step`.
"""

import dataclasses
import functools
import hashlib
import json

import numpy as np

from videogen.core.errors import ConfigError
from videogen.data.hashing import draw64, permute


@dataclasses.dataclass(frozen=True, kw_only=True)
class Bucket:
    """The records of one latent shape."""

    name: str
    num_records: int
    latent_shape: tuple[int, int, int, int]  # (F, H, W, C)
    ids_sha256: str  # of the ordered clip ids


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plan:
    """The order of all batches. ConfigError for no bucket, an empty one, or no batch."""

    buckets: tuple[Bucket, ...]
    seed: int
    global_batch: int
    ramp: tuple[tuple[int, int], ...] = ()  # (until which step, a smaller batch)

    def __post_init__(self):
        if self.global_batch < 1:
            raise ConfigError(f"global_batch={self.global_batch} must be at least 1")
        empty = [bucket.name for bucket in self.buckets if bucket.num_records < 1]
        if empty or not self.buckets:
            raise ConfigError(f"buckets without records: {empty or 'none given'}")

    @functools.cached_property
    def id(self) -> str:
        """16 hex digits of all that determines the batches; captions are no part."""
        buckets = [(b.num_records, b.latent_shape, b.ids_sha256) for b in self.buckets]
        facts = ["plan 2", self.seed, self.global_batch, buckets]
        content = json.dumps([*facts, self.ramp] if self.ramp else facts)
        return hashlib.sha256(content.encode()).hexdigest()[:16]

    def batch(self, step: int) -> tuple[int, np.ndarray]:
        """(bucket, record_B): an index into `buckets`, and int64 indices into it."""
        bucket = self._bucket(step)
        size = self.buckets[bucket].num_records
        start = self._start(bucket, step)
        position_B = np.arange(start, start + self.batch_size(step))
        epoch_B, index_B = np.divmod(position_B, size)
        key_B = draw64("epoch", self.seed, bucket, epoch_B)
        return bucket, permute(index_B, size, key_B)

    def batch_size(self, step: int) -> int:
        """Clips of a step."""
        sizes = (size for until, size in self.ramp if step < until)
        return next(sizes, self.global_batch)

    def _start(self, bucket: int, step: int) -> int:
        """Clips of a bucket that the steps before took."""
        start = turns = 0
        for until, size in (*self.ramp, (step, self.global_batch)):
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
        times = [max(1, round(b.num_records / self.global_batch)) for b in self.buckets]
        if len(times) == 1:  # the schedule of one bucket says nothing: keep it short
            times = [1]
        bucket_T = np.repeat(np.arange(len(times)), times)
        places_T = np.arange(len(bucket_T))
        key_T = draw64("schedule", self.seed, np.zeros_like(places_T))
        bucket_T = bucket_T[permute(places_T, len(bucket_T), key_T)]
        return bucket_T, [np.flatnonzero(bucket_T == b) for b in range(len(times))]
