"""What a run is, and what a place to run on offers. New kinds: `__main__.TARGETS`."""

import argparse
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import NoReturn, Protocol

BAD_INPUT = 43
# A worker that saved after a preemption notice: not a failure, the others do the same.
PREEMPTED = 42
FINE = (0, PREEMPTED)
# The module's last words are one `error: ...` line: bad input, a non-finite loss.
TOLD = (BAD_INPUT, 45)


class LaunchError(Exception):
    """Bad input, or a command that failed: one line that says what would work."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """`python -m MODULE ARGS` in directory `root`, on every worker."""

    module: str
    args: tuple[str, ...]
    root: Path
    logs: Path
    env_file: Path | None = None
    grace_s: float = 30.0
    dry_run: bool = False


class Target(Protocol):
    """A place that runs a job."""

    def run(self, job: Job) -> int:
        """Runs to the end, following the logs; returns the job's exit code."""
        ...


class HeldTarget(Target, Protocol):
    """A place that outlives one run of this program."""

    def follow(self, job: Job) -> int: ...
    def status(self, job: Job) -> int: ...
    def stop(self, job: Job) -> int: ...
    def delete(self, job: Job) -> int: ...


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One kind of target: how `kind:NAME` and its own flags become a Target."""

    usage: str
    make: Callable[[str, argparse.Namespace], Target]
    add_flags: Callable[[argparse._ArgumentGroup], None]


def outcome(codes: Sequence[int], first_failure: int | None) -> int:
    """The job's exit code: the first failure's, else 42 if any saved and stopped."""
    if first_failure is not None:
        return first_failure
    return PREEMPTED if PREEMPTED in codes else max(codes, default=0)


def tail(log: Path, lines: int = 20) -> str:
    """The last lines of a worker's log, indented."""
    text = log.read_text(errors="replace") if log.exists() else ""
    return "\n".join(f"  | {line}" for line in text.splitlines()[-lines:])


def read_env_file(path: Path | None) -> Mapping[str, str]:
    """KEY=VALUE lines; blank lines and # comments are skipped. Raises LaunchError."""
    if path is None:
        return {}
    if not path.is_file():
        raise LaunchError(f"--env-file {path}: no such file")
    pairs = {}
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        name, equals, value = line.partition("=")
        if not equals or not name.strip().isidentifier():
            # The line itself may hold a secret: it is not repeated.
            raise LaunchError(f"--env-file {path} line {number}: want KEY=VALUE")
        pairs[name.strip()] = value.strip()
    return pairs


@contextmanager
def terminate_as_exit() -> Iterator[None]:
    """SIGTERM unwinds like Ctrl-C, so that what was started is also stopped."""

    def leave(signum: int, _frame: FrameType | None) -> NoReturn:
        raise SystemExit(128 + signum)

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
