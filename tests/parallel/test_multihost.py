"""Real processes on this machine: joining, barriers, one rank's failure, SIGTERM."""

import inspect
import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import jax
import numpy as np
import pytest

from videogen.core.errors import ConfigError
from videogen.parallel import multihost
from videogen.parallel.guard import Guard
from videogen.parallel.preemption import Preemption

ROOT = Path(__file__).parents[2]
TIMEOUT_S = 60


def start(code: str, count: int, **environment: str) -> list[subprocess.Popen[str]]:
    """Starts `code` in `count` processes of one job, two CPU devices each."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    shared = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT),
        "PYTHONUNBUFFERED": "1",
        "JAX_PLATFORMS": "cpu",
        "JAX_NUM_CPU_DEVICES": "2",
        "JAX_COORDINATOR_ADDRESS": address,
        "JAX_NUM_PROCESSES": str(count),
    }
    return [
        subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(code)],
            env={**shared, **environment, "JAX_PROCESS_ID": str(rank)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for rank in range(count)
    ]


def finish(processes: list[subprocess.Popen[str]]) -> tuple[list[int], list[str]]:
    """Exit codes and outputs; kills what is still there at the time limit."""
    try:
        outputs = [p.communicate(timeout=TIMEOUT_S)[0] for p in processes]
    finally:
        for process in processes:
            process.kill()
    return [p.returncode for p in processes], outputs


def wait_for(process: subprocess.Popen[str], text: str) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        if text in line:
            return
    pytest.fail(f"the process ended before it printed {text!r}")


def test_processes_join_meet_and_agree():
    codes, outputs = finish(
        start(
            """
            import jax, jax.numpy as jnp
            from jax.sharding import NamedSharding, PartitionSpec as P
            from videogen.parallel import multihost
            multihost.initialize()
            multihost.initialize()  # twice is harmless
            for _ in range(3):
                multihost.sync("again")
            said = multihost.from_primary("word", f"of {jax.process_index()}")
            assert said == "of 0"
            mesh = jax.make_mesh((4,), ("x",))
            spread = NamedSharding(mesh, P("x"))
            value = jax.make_array_from_callback(
                (4,), spread, lambda i: jnp.arange(4.0)[i])
            total = jax.jit(jnp.sum, out_shardings=NamedSharding(mesh, P()))(value)
            assert multihost.to_host(total) == 6.0
            try:
                multihost.to_host(value)
            except ValueError as error:
                assert "replicate it" in str(error)
            else:
                raise AssertionError("a spread array was read")
            if jax.process_index() == 0:
                try:
                    multihost.sync("alone", timeout_s=0.2)
                except jax.errors.JaxRuntimeError as error:
                    assert "timed out" in str(error)
                else:
                    raise AssertionError("nobody else came")
            print(jax.process_index(), multihost.is_primary(), jax.device_count())
            """,
            2,
        )
    )
    assert codes == [0, 0], outputs
    assert "0 True 4" in outputs[0] and "1 False 4" in outputs[1]


@pytest.mark.parametrize("culprit", [0, 1])
def test_exception_on_one_rank_ends_all(culprit: int):
    begin = time.monotonic()
    codes, outputs = finish(
        start(
            """
            import os, threading, jax
            from videogen.parallel import multihost
            multihost.initialize()
            multihost.install_guard()
            multihost.sync("up")
            if jax.process_index() == int(os.environ["CULPRIT"]):
                raise RuntimeError("bad batch")
            threading.Event().wait()
            """,
            2,
            CULPRIT=str(culprit),
        )
    )
    assert codes == [13, 13], outputs
    assert time.monotonic() - begin < 15
    for output in outputs:
        assert f"guard: stopping, rank {culprit}: RuntimeError: bad batch" in output
    assert "threading.py" in outputs[1 - culprit], "the stuck rank shows its stack"


@pytest.mark.parametrize("code", [43, 44, 45])
def test_abort_gives_every_rank_its_exit_code(code: int):
    codes, outputs = finish(
        start(
            """
            import os, threading, jax
            from videogen.parallel import multihost
            multihost.initialize()
            guard = multihost.install_guard()
            multihost.sync("up")
            if jax.process_index() == 1:
                guard.abort("no progress", int(os.environ["CODE"]))
            threading.Event().wait()
            """,
            2,
            CODE=str(code),
        )
    )
    assert codes == [code, code], outputs
    told = code in (43, 45)
    assert ("error: rank 1: no progress\n" in outputs[0]) == told
    assert "rank 1: no progress" in outputs[0]
    assert ("threading.py" in outputs[0]) != told, "stacks, not for user errors"


@pytest.mark.parametrize(("count", "most_s"), [(2, 1.0), (300, 1.0), (1500, 5.0)])
def test_the_store_is_asked_at_a_bounded_rate(count: int, most_s: float):
    guards = [Guard(None, rank, count) for rank in range(count)]
    pauses = [[guard._pause_s() for _ in range(20)] for guard in guards]
    assert all(most_s / 2 <= pause <= most_s for own in pauses for pause in own)
    rate = sum(20 / sum(own) for own in pauses)
    assert rate <= min(1.5 * count, 430)
    assert len({own[0] for own in pauses}) == count, "each rank at its own moments"


def test_guard_stays_out_of_a_normal_end():
    codes, outputs = finish(
        start(
            """
            from videogen.parallel import multihost
            multihost.initialize()
            multihost.install_guard()
            multihost.sync("up")
            """,
            2,
        )
    )
    assert codes == [0, 0], outputs
    assert "guard" not in "".join(outputs)


LOOP = """
    import time, jax
    from videogen.parallel import multihost
    from videogen.parallel.preemption import Preemption
    multihost.initialize()
    preemption = Preemption()
    for step in range(10_000):
        if preemption.requested(step):
            print("stopped at", step)
            raise SystemExit(42)
        if step == 3:
            print("looping")
        time.sleep(0.01)
    """


@pytest.mark.parametrize("count", [1, 2])
def test_sigterm_to_one_process_stops_all_at_one_step(count: int):
    processes = start(LOOP, count)
    wait_for(processes[-1], "looping")
    processes[-1].send_signal(signal.SIGTERM)
    codes, outputs = finish(processes)
    assert codes == [42] * count, outputs
    assert len({output.split("stopped at ")[1].split()[0] for output in outputs}) == 1


def test_one_process_needs_nothing(monkeypatch: pytest.MonkeyPatch):
    for name in (multihost.ADDRESS, multihost.NUM_PROCESSES, multihost.PROCESS_ID):
        monkeypatch.delenv(name, raising=False)
    multihost.initialize()
    assert not jax.distributed.is_initialized()
    multihost.sync("alone")
    np.testing.assert_array_equal(multihost.to_host(jax.numpy.arange(3)), [0, 1, 2])
    hook = sys.excepthook
    multihost.install_guard()
    assert sys.excepthook is hook


def test_own_handler_for_one_process():
    before = signal.getsignal(signal.SIGTERM)
    try:
        preemption = Preemption()
        assert not preemption.requested(0)
        signal.raise_signal(signal.SIGTERM)
        assert preemption.requested(1)
    finally:
        signal.signal(signal.SIGTERM, before)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (("host:1", "2", ""), "JAX_PROCESS_ID is not set: set all of"),
        (("host:1", "two", "0"), "JAX_NUM_PROCESSES='two' is not a whole number"),
        (("host:1", "2", "2"), "JAX_PROCESS_ID=2 with JAX_NUM_PROCESSES=2"),
    ],
)
def test_bad_environment_names_the_variable(
    values: tuple[str, ...], message: str, monkeypatch: pytest.MonkeyPatch
):
    names = (multihost.ADDRESS, multihost.NUM_PROCESSES, multihost.PROCESS_ID)
    for name, value in zip(names, values, strict=True):
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError, match=message):
        multihost.initialize()


def test_jax_still_keeps_what_we_rely_on():
    """Private names of jax 0.10.2 that `multihost` reads, and the ones it passes."""
    from jax._src import cloud_tpu_init
    from jax._src.distributed import State, global_state
    from jax._src.lib import _jax

    assert isinstance(global_state, State)
    assert {"client", "process_id", "num_processes"} <= set(dir(State))
    assert isinstance(cloud_tpu_init.running_in_cloud_tpu_vm, bool)
    for name in ("key_value_set", "key_value_try_get", "wait_at_barrier"):
        assert callable(getattr(_jax.DistributedRuntimeClient, name))
    passed = {*multihost._TIMEOUTS, "cluster_detection_method", "process_id"}
    assert passed <= set(inspect.signature(jax.distributed.initialize).parameters)
