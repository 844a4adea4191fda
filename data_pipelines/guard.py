"""Work on files from anywhere, in a process that may hang, die or eat memory.

FFmpeg and friends meet bytes that nobody has checked. The work runs in a child process;
the kernel ends it when its time is over (an alarm, which no code has to honour) and
refuses it memory beyond its limit, and it ends by itself when its parent is gone. The
parent starts another one and goes on.
"""

import atexit
import contextlib
import dataclasses
import os
import pickle
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Generator, Iterable, Iterator
from typing import Any

from data_pipelines.pipe import Pipe
from data_pipelines.quarantine import RETRYABLE, Reject
from videogen.core.errors import ConfigError, DataError

GIB = 1 << 30
Work = Callable[[Any], Iterable[Any]]
Finish = Callable[[Any, Iterable[Any]], Iterable[Any]]  # (item, rows) -> rows


def as_it_is(item: Any, rows: Iterable[Any]) -> Iterable[Any]:
    """The Finish that adds nothing."""
    return rows


@dataclasses.dataclass(frozen=True, kw_only=True)
class Limits:
    """Of the work on one item."""

    timeout_s: float = 600.0  # wall time
    memory_gib: float = 8.0  # of address space
    retries: int = 1  # after a timeout, a crash, or too little memory

    def __post_init__(self):
        above = {"--timeout-s": self.timeout_s, "--memory-gib": self.memory_gib}
        for flag, value in above.items():
            if not value > 0:
                raise ConfigError(f"{flag}={value}: more than 0 would work")
        if self.retries < 0:
            raise ConfigError(f"--retries={self.retries}: 0 or more would work")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Child:
    """A process that waits for work at the other end of a pipe."""

    process: subprocess.Popen
    pipe: Pipe

    @classmethod
    def start(cls, limits: Limits) -> "Child":
        ours, theirs = Pipe.pair()
        arguments = (theirs.fileno(), limits.timeout_s, limits.memory_gib)
        process = subprocess.Popen(
            [sys.executable, "-m", __name__, *map(str, arguments)],
            pass_fds=[theirs.fileno()],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        theirs.close()
        return cls(process=process, pipe=ours)

    def kill(self) -> None:
        """Whatever it is doing."""
        self.process.kill()
        self.end()

    def end(self) -> int:
        """Its exit code, once it has heard that nobody needs it."""
        self.pipe.close()
        return self.process.wait()


# Children between two guards: starting one and loading its libraries takes a second.
_idle: dict[Limits, list[Child]] = {}


@atexit.register
def end_idle() -> None:
    """Ends the children that wait for another guard."""
    while _idle:
        for child in _idle.popitem()[1]:
            child.end()


def _take_idle(limits: Limits) -> Child | None:
    try:
        return _idle[limits].pop()
    except (KeyError, IndexError):  # threads may ask at once
        return None


class Guard:
    """Calls functions in a child process, which is started when it is needed."""

    def __init__(self, limits: Limits):
        self._limits = limits
        self._child: Child | None = None

    def __call__(self, work: Work, item: Any, finish: Finish = as_it_is) -> dict:
        """{"rows": what `finish` made of what `work` gave, in this process}.

        Or {"code", "reason"} when one of them raised Reject, or the work came to worse.
        """
        try:
            with contextlib.closing(self.stream(work, item)) as rows:
                return {"rows": list(finish(item, rows))}
        except Reject as reject:
            return {"code": reject.code, "reason": reject.reason}

    def stream(self, work: Work, item: Any) -> Generator[Any, None, None]:
        """What `work` gives, as it comes; the time limit is between two of them.

        After a crash the work starts again, and what was given already is skipped.
        Raises Reject; or what is wrong with the settings, which is nobody's fault here.
        """
        given = 0
        for attempt in range(1 + self._limits.retries):
            try:
                for number, row in enumerate(self._attempt(work, item)):
                    if number == given:
                        given += 1
                        yield row
                return
            except Reject as reject:
                if reject.code not in RETRYABLE or attempt == self._limits.retries:
                    raise

    def close(self) -> None:
        """Lets the next guard have the child."""
        if self._child is not None:
            _idle.setdefault(self._limits, []).append(self._child)
        self._child = None

    def _attempt(self, work: Work, item: Any) -> Iterator[Any]:
        child = self._child or _take_idle(self._limits) or Child.start(self._limits)
        self._child = None  # until it has ended this well
        try:
            child.pipe.send((work, item))
            while "row" in (message := child.pipe.recv()):
                yield message["row"]
            self._child = child
        except (EOFError, OSError):
            raise self._verdict(child.end()) from None
        finally:
            if self._child is None:
                child.kill()
        if "fault" in message:
            raise pickle.loads(message["fault"])
        if "code" in message:
            raise Reject(message["code"], message["reason"])

    def _verdict(self, code: int) -> Reject:
        """Why the child is dead, by its exit code."""
        if code == -signal.SIGALRM:
            return Reject("TIMEOUT", f"not done in {self._limits.timeout_s:g} seconds")
        if code == -signal.SIGKILL:
            return Reject("OOM", "killed, as the system does without memory")
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        return Reject("CRASH", f"the process ended by {how}")


def messages(work: Work, item: Any) -> Iterator[dict]:
    """What the child sends: rows, then how it ended. No error leaves here but as a code."""
    try:
        for row in work(item):
            yield {"row": row}
        yield {}
    except Reject as reject:
        yield {"code": reject.code, "reason": reject.reason}
    except MemoryError as error:
        yield {"code": "OOM", "reason": _line(error)}
    except (ConfigError, DataError) as error:
        yield {"fault": pickle.dumps(error)}
    except Exception as error:  # of OpenCV, numpy, PyAV: a bad file finds new ways
        yield {"code": "CRASH", "reason": _line(error)}


def _line(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())


def _serve(pipe: Pipe, timeout_s: float, memory_gib: float) -> None:
    """Answers until the parent is gone."""
    # An interrupt is the parent's to handle: the closed pipe is how we hear of it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with contextlib.suppress(ValueError, OSError):  # some systems have no such limit
        _, most = resource.getrlimit(resource.RLIMIT_AS)
        limit = int(memory_gib * GIB)
        limit = limit if most == resource.RLIM_INFINITY else min(limit, most)
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    while True:
        try:
            work, item = pipe.recv()
        except EOFError:
            return
        stream = messages(work, item)
        while (message := _in_time(stream, timeout_s)) is not None:
            try:
                pipe.send(message)
            except OSError:
                return


def _in_time(stream: Iterator[dict], timeout_s: float) -> dict | None:
    """The next message. The alarm ends the process; waiting for the parent is free."""
    signal.setitimer(signal.ITIMER_REAL, timeout_s)
    try:
        return next(stream, None)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


if __name__ == "__main__":
    descriptor, *numbers = sys.argv[1:]
    _serve(Pipe.of(int(descriptor)), *map(float, numbers))
