"""Batches made ahead by threads, as many as a budget of memory holds.

Threads suffice: a record is bytes to view, without Python work worth a process.
"""

from collections.abc import Callable, Iterator

import grain
import numpy as np

HostBatch = dict[str, np.ndarray]
BUDGET = 1 << 31  # bytes
A_THREAD = 2  # batches, the one that it makes and one that waits


def in_threads(
    batch: Callable[[int], HostBatch],
    start: int,
    stop: int,
    *,
    num_threads: int,
    budget: int,
    growth: float = 1.0,
) -> Iterator[HostBatch]:
    """batch(start), ..., batch(stop - 1), in order, made ahead by threads.

    Args:
      num_threads: of which each makes one batch at a time.
      budget: bytes of the batches that are made ahead; one always is.
      growth: by how much the largest batch is larger than the first, whose size shows here.
    """
    if start >= stop:
        return
    made = [batch(start)]
    size = growth * sum(leaf.nbytes for leaf in made[0].values())
    yield made.pop()  # without a reference of ours: its memory is lent again
    if start + 1 == stop:
        return
    held = max(1, min(A_THREAD * num_threads, int(budget / size)))
    # Grain's default buffer is 500 elements: of whole batches, that is all memory.
    options = grain.ReadOptions(
        num_threads=min(num_threads, held), prefetch_buffer_size=held
    )
    steps = grain.MapDataset.range(start + 1, stop)
    yield from steps.map(batch).to_iter_dataset(options)
