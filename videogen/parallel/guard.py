"""One rank's failure ends every rank within seconds, with the reason in every log.

JAX's own defaults leave a job hanging: the failed rank waits in the shutdown barrier
while it goes on heart-beating, so the others never learn of it.

Each rank asks rank 0's key-value store now and then, at moments of its own. With N
processes the longest pause is max(1, N / 300) seconds and the mean one 3/4 of it, so
that rank 0 answers 4/3 N requests a second up to N = 300 and 400 a second from there
on: at 1,500 hosts each rank asks every 2.5 to 5 seconds.
"""

import faulthandler
import os
import random
import sys
import threading
import time
import traceback
from types import TracebackType
from typing import Any, NoReturn

ABORTED = 13
# A wrong field or file, a loss that stayed non-finite: a sentence says it all.
_NO_STACKS = (43, 45)
_KEY = "videogen/guard/abort"
_SHORTEST_S = 1.0
_ASKERS_PER_S = 300
# Rank 0 hosts the key-value store: it leaves after the others had time to read it.
_LAST_OUT_S = 1.0


def longest_pause_s(num_processes: int) -> float:
    """Seconds within which every rank asks again."""
    return max(_SHORTEST_S, num_processes / _ASKERS_PER_S)


class Guard:
    """Shares one rank's reason to stop with all ranks; `client` None = one process."""

    def __init__(self, client: Any | None, process_id: int, num_processes: int = 1):
        self._client = client
        self._process_id = process_id
        self._longest_s = longest_pause_s(num_processes)
        # Not the global generator, which may be seeded alike on all ranks.
        self._random = random.Random(process_id)
        self._stopped = threading.Event()

    def install(self) -> "Guard":
        """Starts watching, and publishes this process's uncaught exceptions."""
        if self._client is not None:
            sys.excepthook = self._on_exception
            threading.Thread(target=self._watch, name="guard", daemon=True).start()
        return self

    def abort(self, reason: str, exit_code: int = ABORTED) -> NoReturn:
        """Ends every rank with `exit_code`, whichever of them leaves first."""
        reason = f"rank {self._process_id}: {reason}"
        if self._client is not None:
            try:
                self._client.key_value_set(_KEY, f"{exit_code} {reason}")
            except Exception as error:  # taken by a rank that failed first, or no store
                if "ALREADY_EXISTS" not in str(error):
                    print(f"guard: cannot publish: {error}", file=sys.stderr)
        self._leave(reason, exit_code)

    def stop(self) -> None:
        """Ends the watch; for a normal end, before JAX's client is shut down."""
        self._stopped.set()

    def _watch(self) -> None:
        while not self._stopped.wait(self._pause_s()):
            published = self._published()
            if published is not None and not self._stopped.is_set():
                exit_code, _, reason = published.partition(" ")
                self._leave(reason, int(exit_code))

    def _pause_s(self) -> float:
        """Ranks that start together drift apart."""
        return self._random.uniform(0.5, 1.0) * self._longest_s

    def _published(self) -> str | None:
        assert self._client is not None
        try:
            return self._client.key_value_try_get(_KEY)
        except Exception:  # NOT_FOUND; a lost coordinator is JAX's own to report
            return None

    def _leave(self, reason: str, exit_code: int) -> NoReturn:
        self._stopped.set()
        sys.stdout.flush()
        if exit_code in _NO_STACKS:
            print(f"error: {reason}", file=sys.stderr, flush=True)
        else:
            print(f"guard: stopping, {reason}", file=sys.stderr, flush=True)
            faulthandler.dump_traceback(file=sys.__stderr__ or 2, all_threads=True)
        if self._client is not None and self._process_id == 0:
            time.sleep(self._longest_s + _LAST_OUT_S)
        # Not sys.exit: JAX's exit handlers would wait for the ranks that are stuck.
        os._exit(exit_code)

    def _on_exception(
        self, kind: type[BaseException], error: BaseException, tb: TracebackType | None
    ) -> None:
        traceback.print_exception(kind, error, tb)
        self.abort(f"{kind.__name__}: {error}")
