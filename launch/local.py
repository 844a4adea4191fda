"""`local:PxD`: P processes with D CPU devices each on this machine, joined by JAX."""

import argparse
import ctypes
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from launch.target import (
    FINE,
    TOLD,
    Job,
    Kind,
    LaunchError,
    Target,
    outcome,
    read_env_file,
    tail,
)

# Ranks that lost a peer are stuck in a collective: no use in a long wait for them.
FAILURE_GRACE_S = 5.0
_TICK_S = 0.05
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True, kw_only=True)
class LocalTarget:
    """`processes` x `devices` on this machine."""

    processes: int
    devices: int

    def run(self, job: Job) -> int:
        """Runs all workers; one that dies ends the others."""
        argv = [sys.executable, "-m", job.module, *job.args]
        port = 0 if job.dry_run else _free_port()
        environments = [self._environment(index, port) for index in self._indices()]
        for environment in environments:
            pairs = [f"{name}={value}" for name, value in environment.items()]
            print("+", shlex.join(["env", *pairs, *argv]), flush=True)
        if job.dry_run:
            return 0
        job.logs.mkdir(parents=True, exist_ok=True)
        shared = {**os.environ, **read_env_file(job.env_file), "PYTHONUNBUFFERED": "1"}
        with _count_signals() as signals:
            workers: list[Worker] = []
            try:
                for index, environment in enumerate(environments):
                    log = job.logs / f"worker_{index}.log"
                    workers.append(
                        Worker(index, argv, {**shared, **environment}, job.root, log)
                    )
                return _supervise(workers, signals, job.grace_s)
            finally:
                for worker in workers:
                    worker.kill()

    def _indices(self) -> range:
        return range(self.processes)

    def _environment(self, index: int, port: int) -> dict[str, str]:
        return {
            "JAX_PLATFORMS": "cpu",
            "JAX_NUM_CPU_DEVICES": str(self.devices),
            "JAX_COORDINATOR_ADDRESS": f"127.0.0.1:{port}",
            "JAX_NUM_PROCESSES": str(self.processes),
            "JAX_PROCESS_ID": str(index),
        }


class Worker:
    """One process in its own process group, writing to its own log file."""

    def __init__(
        self,
        index: int,
        argv: Sequence[str],
        env: Mapping[str, str],
        root: Path,
        log: Path,
    ):
        self.index, self.log = index, log
        with open(log, "wb") as output:
            self._process = subprocess.Popen(
                argv,
                env=env,
                cwd=root,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=_die_with_parent,
            )

    @property
    def code(self) -> int | None:
        """The exit code, 128 + signal as in a shell; None while it runs."""
        code = self._process.poll()
        return 128 - code if code is not None and code < 0 else code

    def signal(self, signum: int) -> None:
        """To the whole group: data loaders of a dead worker go too."""
        try:
            os.killpg(self._process.pid, signum)
        except ProcessLookupError:
            pass

    def kill(self) -> None:
        self.signal(signal.SIGKILL)
        self._process.wait()


def _supervise(workers: list[Worker], signals: list[int], grace_s: float) -> int:
    """Waits for all; a failure or a signal ends them: SIGTERM, then SIGKILL."""
    failed: Worker | None = None
    deadline: float | None = None
    with open(workers[0].log, errors="replace") as log:
        while any(worker.code is None for worker in workers):
            _copy(log)
            if deadline is None:
                failed = next((w for w in workers if w.code not in (None, *FINE)), None)
                if failed is not None or signals:
                    deadline = time.monotonic()
                    deadline += FAILURE_GRACE_S if failed else grace_s
                    _signal_running(workers, signal.SIGTERM)
            elif time.monotonic() > deadline or len(signals) > 1:
                _signal_running(workers, signal.SIGKILL)
            time.sleep(_TICK_S)
        _copy(log)
    if failed is None and not signals:
        failed = next((w for w in workers if w.code not in FINE), None)
    return _conclude(workers, failed, signals)


def _conclude(workers: list[Worker], failed: Worker | None, signals: list[int]) -> int:
    codes = [worker.code or 0 for worker in workers]
    if failed is not None:
        message = f"worker {failed.index} failed with exit code {failed.code}"
        print(f"launch: {message}; all were stopped.", file=sys.stderr)
        if codes[0] not in TOLD:  # worker 0, which shows here, has not said why
            print(f"Last lines of {failed.log}:\n{tail(failed.log)}", file=sys.stderr)
        return outcome(codes, failed.code)
    if signals and any(code not in FINE for code in codes):
        return 128 + signals[0]
    return outcome(codes, None)


def _signal_running(workers: list[Worker], signum: int) -> None:
    for worker in workers:
        if worker.code is None:
            worker.signal(signum)


def _copy(log: TextIO) -> None:
    text = log.read()
    if text:
        print(text, end="", flush=True)


@contextmanager
def _count_signals() -> Iterator[list[int]]:
    """Collects Ctrl-C and SIGTERM: the first stops the workers, the next kills them."""
    seen: list[int] = []
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(n, lambda n, _frame: seen.append(n)) for n in numbers]
    try:
        yield seen
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


def _die_with_parent() -> None:
    """In the child: the kernel kills it when the launcher is gone (Linux only)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _make(name: str, _options: argparse.Namespace) -> Target:
    match = re.fullmatch(r"(\d+)x(\d+)", name)
    if match is None:
        raise LaunchError(
            f"target 'local:{name}': want local:PROCESSESxDEVICES, such as local:4x2"
        )
    processes, devices = int(match[1]), int(match[2])
    if not processes or not devices:
        raise LaunchError(
            f"target 'local:{name}': want at least 1 process and 1 device, "
            "such as local:1x8"
        )
    return LocalTarget(processes=processes, devices=devices)


KIND = Kind(usage="local:PxD", make=_make, add_flags=lambda group: None)
