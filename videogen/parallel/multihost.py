"""Joining the processes of one job: the only file that touches JAX's private state."""

import atexit
import os
from typing import Any

import jax
import numpy as np
from jax._src import cloud_tpu_init
from jax._src.distributed import global_state

from videogen.core.errors import ConfigError
from videogen.parallel.guard import Guard

# Set by `launch`; JAX itself reads only the first of them.
ADDRESS = "JAX_COORDINATOR_ADDRESS"
NUM_PROCESSES = "JAX_NUM_PROCESSES"
PROCESS_ID = "JAX_PROCESS_ID"
# JAX's defaults (100 s, 300 s) keep a broken job waiting; these end it.
_TIMEOUTS: dict[str, Any] = {
    "heartbeat_timeout_seconds": 30,
    "shutdown_timeout_seconds": 10,
}


def initialize() -> None:
    """Joins the job that the environment describes; does nothing for one process.

    Looks at JAX_COORDINATOR_ADDRESS, JAX_NUM_PROCESSES and JAX_PROCESS_ID, then for a
    TPU pod or SLURM. Must come before anything that touches a device. Raises
    ConfigError for an incomplete or impossible environment.
    """
    if jax.distributed.is_initialized():
        return
    found = _from_environment()
    if found is None and _on_cluster():
        jax.distributed.initialize(**_TIMEOUTS)
    elif found is not None and found["num_processes"] > 1:
        jax.distributed.initialize(
            **found, **_TIMEOUTS, cluster_detection_method="deactivate"
        )


def is_primary() -> bool:
    """Whether this process writes what is written once."""
    return jax.process_index() == 0


def sync(name: str, *, timeout_s: float = 600.0) -> None:
    """Waits for all processes to call `sync(name)`, without a device operation.

    Raises jax.errors.JaxRuntimeError that names the missing processes at the timeout.
    """
    if global_state.client is not None:
        global_state.client.wait_at_barrier(f"videogen/{name}", int(timeout_s * 1000))


def from_primary(name: str, text: str, *, timeout_s: float = 600.0) -> str:
    """The text that the primary process has, on every process that says this `name`."""
    client = global_state.client
    if client is None:
        return text
    if is_primary():
        client.key_value_set(f"videogen/{name}", text)
    return client.blocking_key_value_get(f"videogen/{name}", int(timeout_s * 1000))


def to_host(array: Any) -> np.ndarray:
    """The value of an array that is replicated, or wholly on this process's devices."""
    if not isinstance(array, jax.Array) or array.is_fully_addressable:
        return np.asarray(array)
    if not array.is_fully_replicated:
        raise ValueError(
            f"array {array.shape} is spread over processes by {array.sharding}: "
            "replicate it (jit with replicated out_shardings) before reading it"
        )
    return np.asarray(array.addressable_data(0))


def install_guard() -> Guard:
    """From here on one rank's uncaught exception ends every rank within seconds.

    `abort(reason, exit_code)` of the result does the same on purpose, with that code.
    """
    guard = Guard(
        global_state.client, global_state.process_id, global_state.num_processes
    ).install()
    # Runs before JAX's own exit handler, which was registered earlier.
    atexit.register(guard.stop)
    return guard


def _from_environment() -> dict[str, Any] | None:
    given = {
        name: os.environ.get(name) for name in (ADDRESS, NUM_PROCESSES, PROCESS_ID)
    }
    if not any(given.values()):
        return None
    for name, value in given.items():
        if not value:
            raise ConfigError(
                f"{name} is not set: set all of {', '.join(given)}, or none of them"
            )
    count, index = _natural(NUM_PROCESSES), _natural(PROCESS_ID)
    if not index < count:
        raise ConfigError(
            f"{PROCESS_ID}={index} with {NUM_PROCESSES}={count}: "
            f"the id must be 0..{max(count - 1, 0)}"
        )
    address = given[ADDRESS]
    return dict(coordinator_address=address, num_processes=count, process_id=index)


def _natural(name: str) -> int:
    value = os.environ[name]
    if not value.isdecimal():
        raise ConfigError(f"{name}={value!r} is not a whole number >= 0")
    return int(value)


def _on_cluster() -> bool:
    """Whether JAX's own detection would find a TPU slice or a SLURM step."""
    tasks = os.environ.get("SLURM_NTASKS", "1")
    slurm = "SLURM_STEP_NODELIST" in os.environ and tasks != "1"
    tpu = cloud_tpu_init.running_in_cloud_tpu_vm
    return slurm or (tpu and os.environ.get("JAX_PLATFORMS") != "cpu")
