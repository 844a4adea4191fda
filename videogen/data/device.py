"""Host batches -> sharded global arrays, with the next one already on its way."""

import collections
from collections.abc import Callable, Iterator

import jax
import numpy as np

from videogen.core.types import Batch
from videogen.data.ahead import HostBatch

# The sharding of a batch leaf of that rank: dim 0 over the data axes.
ShardingOfRank = Callable[[int], jax.sharding.Sharding]


def local_rows(sharding_of_rank: ShardingOfRank, global_batch: int) -> np.ndarray:
    """The rows of the global batch that this process's devices hold, sorted.

    Hosts that share a row (a context or tensor axis spans them) each get it.
    """
    indices = sharding_of_rank(1).addressable_devices_indices_map((global_batch,))
    held = [np.arange(global_batch)[index] for index in indices.values() if index]
    return np.unique(np.concatenate(held))


def to_device(batch: HostBatch, sharding_of_rank: ShardingOfRank) -> Batch:
    """Global arrays of this process's rows, as `local_rows` orders them."""
    return {
        name: jax.make_array_from_process_local_data(sharding_of_rank(leaf.ndim), leaf)
        for name, leaf in batch.items()
    }


def prefetch_to_device(
    batches: Iterator[HostBatch], sharding_of_rank: ShardingOfRank, in_flight: int = 2
) -> Iterator[Batch]:
    """`batches` on the devices, in order, `in_flight` at a time: transfers overlap."""
    queue: collections.deque[Batch] = collections.deque()
    for batch in batches:
        queue.append(to_device(batch, sharding_of_rank))
        if len(queue) >= in_flight:
            yield queue.popleft()
    yield from queue
