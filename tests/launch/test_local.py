"""`local:PxD` with toy modules: environment, whole-job failure, signals, collectives."""

import json
import os
import re
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TIMEOUT_S = 60

TOYS = {
    "hello": """
        import json, os, sys
        names = ("JAX_PROCESS_ID", "JAX_NUM_PROCESSES", "JAX_NUM_CPU_DEVICES",
                 "JAX_PLATFORMS", "JAX_COORDINATOR_ADDRESS", "TOKEN")
        print(json.dumps([sys.argv[1:], {n: os.environ.get(n) for n in names}]))
        """,
    "one_fails": """
        import os, sys, time
        if os.environ["JAX_PROCESS_ID"] == "1":
            print("the culprit's last words")
            sys.exit(7)
        print("up", os.getpid())
        time.sleep(600)
        """,
    "user_error": """
        import os, sys, threading
        from videogen.parallel import multihost
        multihost.initialize()
        guard = multihost.install_guard()
        multihost.sync("up")
        if os.environ["JAX_PROCESS_ID"] == sys.argv[1]:
            guard.abort("what is wrong", int(sys.argv[2]))
        threading.Event().wait()
        """,
    "sleeps": """
        import os, subprocess, sys, time
        child = subprocess.Popen(["sleep", "600"])
        print("pids", os.getpid(), child.pid)
        time.sleep(600)
        """,
    "saves": """
        import signal, sys, time
        def save(*_):
            time.sleep(0.3)
            print("saved")
            sys.exit(42)
        signal.signal(signal.SIGTERM, save)
        print("pids")
        time.sleep(600)
        """,
    "total": """
        import jax, jax.numpy as jnp
        from jax.sharding import NamedSharding, PartitionSpec as P
        from videogen.parallel import multihost
        multihost.initialize()
        multihost.install_guard()
        mesh = jax.make_mesh((jax.device_count(),), ("x",))
        spread = NamedSharding(mesh, P("x"))
        size = jax.device_count()
        value = jax.make_array_from_callback(
            (size,), spread, lambda i: jnp.arange(size, dtype=jnp.float32)[i])
        total = jax.shard_map(lambda x: jax.lax.psum(x, "x"), mesh=mesh,
                              in_specs=P("x"), out_specs=P())(value)
        print("total", multihost.to_host(total), "of", jax.local_device_count())
        """,
}


@pytest.fixture
def launch(tmp_path: Path):
    """Starts the launcher in a folder with the toy modules."""
    for name, code in TOYS.items():
        (tmp_path / f"toy_{name}.py").write_text(textwrap.dedent(code))
    started = []

    def start(toy: str, target: str, *own: str, args: tuple[str, ...] = ()):
        command = ["run", "--target", target, "--module", f"toy_{toy}", "--logs=logs"]
        process = subprocess.Popen(
            [sys.executable, "-m", "launch", *command, *own, "--", *args],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": f"{ROOT}:{tmp_path}"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def wait_for_logs(folder: Path, pattern: str, count: int) -> list[re.Match[str]]:
    """The match in each worker's log, once all are there."""
    deadline = time.monotonic() + TIMEOUT_S
    while time.monotonic() < deadline:
        logs = [f.read_text() for f in sorted(folder.glob("logs/worker_*.log"))]
        found = [m for m in (re.search(pattern, log) for log in logs) if m]
        if len(found) == count:
            return found
        time.sleep(0.05)
    raise AssertionError(f"no {pattern!r} in all logs: {logs}")


def assert_gone(pids: list[int], within_s: float = 5.0) -> None:
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        if not any(is_running(pid) for pid in pids):
            return
        time.sleep(0.05)
    raise AssertionError(f"still running: {[p for p in pids if is_running(p)]}")


def is_running(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(") ")[2][0] not in "ZX"


def pids_of(matches: list[re.Match[str]]) -> list[int]:
    return [int(pid) for match in matches for pid in match[0].split()[1:]]


def test_every_worker_gets_its_rank_arguments_and_log(launch, tmp_path: Path):
    (tmp_path / "env").write_text("# secrets\nTOKEN=a b=c\n")
    args = ("--x=1", "two words; $(date)", "it's a $HOME", "--", "-v")
    process = launch("hello", "local:3x2", "--env-file=env", args=args)
    output, _ = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 0, output
    logs = [(tmp_path / "logs" / f"worker_{i}.log").read_text() for i in range(3)]
    addresses = set()
    for rank, log in enumerate(logs):
        given, environment = json.loads(log)
        assert tuple(given) == args
        assert environment["JAX_PROCESS_ID"] == str(rank)
        assert environment["JAX_NUM_PROCESSES"] == "3"
        assert environment["JAX_NUM_CPU_DEVICES"] == "2"
        assert environment["JAX_PLATFORMS"] == "cpu"
        assert environment["TOKEN"] == "a b=c"
        addresses.add(environment["JAX_COORDINATOR_ADDRESS"])
    assert len(addresses) == 1
    assert logs[0] in output and logs[1] not in output, "worker 0 on the terminal"
    assert "TOKEN" not in output.replace(logs[0], "")


def test_a_failed_worker_ends_the_job(launch, tmp_path: Path):
    begin = time.monotonic()
    process = launch("one_fails", "local:4x1")
    output, _ = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 7
    assert time.monotonic() - begin < 15
    assert "worker 1 failed with exit code 7" in output
    assert "| the culprit's last words" in output
    logs = [log.read_text() for log in tmp_path.glob("logs/worker_[023].log")]
    assert_gone([int(log.split()[1]) for log in logs if log])


@pytest.mark.parametrize("rank", ["0", "1"])
@pytest.mark.parametrize("code", [43, 45])
def test_an_error_for_the_user_is_one_line(launch, code: int, rank: str):
    begin = time.monotonic()
    process = launch("user_error", "local:2x1", args=(rank, str(code)))
    output, _ = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == code, output
    assert time.monotonic() - begin < 20
    assert output.count(f"error: rank {rank}: what is wrong\n") == 1
    assert output.count("what is wrong") == 1 and "Thread" not in output


def test_a_misspelt_field_is_one_line(tmp_path: Path):
    args = ["--config=configs/quickstart.py", f"--workdir={tmp_path / 'run'}"]
    own = ["run", "--target=local:2x1", f"--logs={tmp_path / 'logs'}", "--"]
    done = subprocess.run(
        [sys.executable, "-m", "launch", *own, *args, "--config.model.wdith=3"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
    )
    assert done.returncode == 43, done.stdout + done.stderr
    output = done.stdout + done.stderr
    assert output.count("no such field (did you mean 'width'?)") == 1
    assert "Traceback" not in output and "Thread" not in output


def test_a_killed_worker_ends_the_job(launch, tmp_path: Path):
    process = launch("sleeps", "local:2x1")
    pids = pids_of(wait_for_logs(tmp_path, r"pids \d+ \d+\n", 2))
    os.kill(pids[2], signal.SIGKILL)
    output, _ = process.communicate(timeout=15)
    assert process.returncode == 128 + signal.SIGKILL
    assert "worker 1 failed with exit code 137" in output
    assert_gone(pids)


def test_workers_die_with_the_launcher(launch, tmp_path: Path):
    process = launch("sleeps", "local:2x1")
    pids = pids_of(wait_for_logs(tmp_path, r"pids \d+ \d+\n", 2))
    workers, children = pids[::2], pids[1::2]
    try:
        process.kill()
        assert_gone(workers)
    finally:
        for pid in children:  # their parent had no chance to end them
            os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_lets_the_workers_save(launch, tmp_path: Path, signum: int):
    process = launch("saves", "local:2x1")
    wait_for_logs(tmp_path, "pids", 2)
    process.send_signal(signum)
    output, _ = process.communicate(timeout=15)
    assert process.returncode == 42, output
    wait_for_logs(tmp_path, "saved", 2)


def test_workers_that_do_not_stop_are_killed(launch, tmp_path: Path):
    process = launch("sleeps", "local:2x1", "--grace=0.5")
    pids = pids_of(wait_for_logs(tmp_path, r"pids \d+ \d+\n", 2))
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=15)
    assert process.returncode == 128 + signal.SIGINT
    assert_gone(pids)


@pytest.mark.parametrize("shape", ["1x4", "2x2", "4x1"])
def test_one_job_whatever_the_number_of_processes(launch, tmp_path: Path, shape: str):
    process = launch("total", f"local:{shape}")
    output, _ = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 0, output
    processes, devices = shape.split("x")
    lines = wait_for_logs(tmp_path, r"total .* of (\d)", int(processes))
    assert {line[0] for line in lines} == {f"total [6.] of {devices}"}


def test_dry_run_only_prints(launch, tmp_path: Path):
    process = launch("hello", "local:2x2", "--dry-run", args=("a b",))
    output, _ = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 0
    assert output.count("JAX_NUM_CPU_DEVICES=2") == 2 and "'a b'" in output
    assert not (tmp_path / "logs").exists()
