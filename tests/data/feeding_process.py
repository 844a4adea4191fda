"""One of two processes with two devices each: prints what its devices were given.

    python feeding_process.py PORT INDEX DATA_AXIS

The mesh has 2 x 2 devices; with DATA_AXIS "across" the batch is split over the processes,
with "within" each process holds all of it, as when the context axis spans hosts, and with
"all" over all four devices in the reverse order, with "turns" over the processes in turn.
"""

import json
import sys

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from videogen.data.device import local_rows, prefetch_to_device

GLOBAL_BATCH = 8


def make_sharding(kind):
    devices = np.array(jax.devices()).reshape(2, 2)
    arranged = {
        "across": devices,
        "within": devices.T,
        "all": devices[::-1, ::-1],
        "turns": devices.T,
    }
    mesh = Mesh(arranged[kind], ("data", "rest"))
    axes = ("data", "rest") if kind in ("all", "turns") else "data"
    return lambda rank: NamedSharding(mesh, PartitionSpec(axes, *[None] * (rank - 1)))


def main(port, index, kind):
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    jax.distributed.initialize(f"localhost:{port}", 2, index)
    sharding = make_sharding(kind)
    rows = local_rows(sharding, GLOBAL_BATCH)
    host = ({"x": np.stack([rows, rows + 100 * step], 1)} for step in range(3))
    batches = list(prefetch_to_device(host, sharding))
    held = [
        [(shard.index[0].indices(GLOBAL_BATCH)[:2], shard.data.tolist()) for shard in x]
        for x in (batch["x"].addressable_shards for batch in batches)
    ]
    shapes = [batch["x"].shape for batch in batches]
    print(json.dumps({"rows": rows.tolist(), "held": held, "shapes": shapes}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3])
