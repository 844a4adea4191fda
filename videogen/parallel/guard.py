"""One rank's failure ends every rank within seconds, with the reason in every log.

JAX's own defaults leave a job hanging: the failed rank waits in the shutdown barrier
while it goes on heart-beating, so the others never learn of it.
"""

import faulthandler
import os
import sys
import threading
import time
import traceback
from types import TracebackType
from typing import Any, NoReturn

ABORTED = 13
_USER_ERROR = 43
_KEY = "videogen/guard/abort"
_POLL_S = 0.25
# Rank 0 hosts the key-value store: it leaves after the others had time to read it.
_LAST_OUT_S = 4 * _POLL_S


class Guard:
    """Shares one rank's reason to stop with all ranks; `client` None = one process."""

    def __init__(self, client: Any | None, process_id: int):
        self._client = client
        self._process_id = process_id
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
        while not self._stopped.wait(_POLL_S):
            published = self._published()
            if published is not None and not self._stopped.is_set():
                exit_code, _, reason = published.partition(" ")
                self._leave(reason, int(exit_code))

    def _published(self) -> str | None:
        assert self._client is not None
        try:
            return self._client.key_value_try_get(_KEY)
        except Exception:  # NOT_FOUND; a lost coordinator is JAX's own to report
            return None

    def _leave(self, reason: str, exit_code: int) -> NoReturn:
        self._stopped.set()
        sys.stdout.flush()
        print(f"guard: stopping, {reason}", file=sys.stderr, flush=True)
        if exit_code != _USER_ERROR:  # no stack explains a field of the config
            faulthandler.dump_traceback(file=sys.__stderr__ or 2, all_threads=True)
        if self._client is not None and self._process_id == 0:
            time.sleep(_LAST_OUT_S)
        # Not sys.exit: JAX's exit handlers would wait for the ranks that are stuck.
        os._exit(exit_code)

    def _on_exception(
        self, kind: type[BaseException], error: BaseException, tb: TracebackType | None
    ) -> None:
        traceback.print_exception(kind, error, tb)
        self.abort(f"{kind.__name__}: {error}")
