"""Each device gets the rows that the sharding says, on one process and on two."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from videogen.data.device import local_rows, prefetch_to_device, to_device

ROOT = Path(__file__).parents[2]
PROCESS = Path(__file__).with_name("feeding_process.py")
TIMEOUT_SECONDS = 90


def sharding_of_rank(rank):
    mesh = Mesh(np.array(jax.devices()[:1]), ("data",))
    return NamedSharding(mesh, PartitionSpec("data", *[None] * (rank - 1)))


def test_one_process_holds_all_rows():
    assert local_rows(sharding_of_rank, 6).tolist() == list(range(6))


def test_to_device_keeps_values_and_types():
    host = {"x": np.ones((4, 2), np.float32), "y": np.arange(4, dtype=np.uint32)}
    batch = to_device(host, sharding_of_rank)
    for name, value in host.items():
        assert batch[name].dtype == value.dtype
        np.testing.assert_array_equal(batch[name], value)


@pytest.mark.parametrize("in_flight", [1, 2, 9])
def test_prefetch_keeps_the_order_and_is_one_ahead(in_flight):
    made = []

    def batches():
        for step in range(5):
            made.append(step)
            yield {"x": np.full(1, step)}

    seen = []
    for batch in prefetch_to_device(batches(), sharding_of_rank, in_flight):
        seen.append(int(batch["x"][0]))
        assert len(made) == min(5, len(seen) + in_flight - 1)
    assert seen == list(range(5))


def run_two(kind):
    """What the two processes print."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    environment = os.environ | {
        "JAX_PLATFORMS": "cpu",
        "JAX_NUM_CPU_DEVICES": "2",
        "PYTHONPATH": str(ROOT),
    }
    processes = [
        subprocess.Popen(
            [sys.executable, str(PROCESS), str(port), str(index), kind],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for index in range(2)
    ]
    try:
        done = [process.communicate(timeout=TIMEOUT_SECONDS) for process in processes]
    finally:
        for process in processes:
            process.kill()
    for process, (_, complaint) in zip(processes, done, strict=True):
        assert process.returncode == 0, complaint[-2000:]
    return [json.loads(output.splitlines()[-1]) for output, _ in done]


@pytest.mark.parametrize(
    ("kind", "rows"),
    [
        ("across", [[0, 1, 2, 3], [4, 5, 6, 7]]),
        ("within", [list(range(8))] * 2),
        ("all", [[4, 5, 6, 7], [0, 1, 2, 3]]),
        ("turns", [[0, 1, 4, 5], [2, 3, 6, 7]]),
    ],
)
def test_two_processes_hold_what_the_mesh_says(kind, rows):
    reports = run_two(kind)
    assert [report["rows"] for report in reports] == rows
    for report in reports:
        assert report["shapes"] == [[8, 2]] * 3
        for step, shards in enumerate(report["held"]):
            for (start, stop), values in shards:
                expected = [[row, row + 100 * step] for row in range(start, stop)]
                assert values == expected
