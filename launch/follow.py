"""Follows the logs of remote workers by asking for what is new, until they end."""

import json
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from launch.target import FINE

LOST = 255
MAX_MISSES = 5
# Asks for the log from a byte offset: the answer of `worker.poll`, None if none came.
Poll = Callable[[int], dict[str, Any] | None]


@dataclass(frozen=True, kw_only=True)
class Follower:
    """One worker's log: into a file, and to the terminal with the worker's number."""

    index: int
    poll: Poll
    log: Path
    pause_s: float

    def run(self, stopped: threading.Event) -> int:
        """The worker's exit code; LOST after several polls without an answer."""
        offset = misses = 0
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with open(self.log, "w") as log:
            while not stopped.is_set():
                answer = self.poll(offset)
                misses = 0 if answer else misses + 1
                if misses == MAX_MISSES:
                    break
                if answer:
                    log.write(answer["text"])
                    log.flush()
                    self._show(answer["text"])
                    offset = answer["offset"]
                    if answer["exit_code"] is not None:
                        return answer["exit_code"]
                stopped.wait(self.pause_s)
        return LOST

    def _show(self, text: str) -> None:
        lines = [f"[{self.index}] {line}\n" for line in text.splitlines()]
        print("".join(lines), end="", flush=True)


def follow_all(
    followers: Sequence[Follower], on_failure: Callable[[], object], patience_s: float
) -> tuple[list[int], int | None]:
    """All exit codes, and the index of the worker that failed first, if any.

    `on_failure` ends the other workers, `patience_s` after the first failure.
    """
    stopped = threading.Event()
    pool = ThreadPoolExecutor(max_workers=len(followers))
    indices = {pool.submit(f.run, stopped): f.index for f in followers}
    failed: int | None = None
    try:
        pending = set(indices)
        while pending:
            done, pending = wait(pending, return_when=FIRST_COMPLETED)
            bad = [indices[future] for future in done if future.result() not in FINE]
            if bad and failed is None:
                failed = min(bad)
                wait(pending, timeout=patience_s)
                on_failure()
    finally:
        stopped.set()
        pool.shutdown(wait=False, cancel_futures=True)
    return [future.result() for future in indices], failed


def parse_answer(output: str) -> dict[str, Any] | None:
    """The last complete answer in the output: gcloud may repeat a broken command."""
    for line in reversed(output.splitlines()):
        try:
            answer = json.loads(line)
        except ValueError:
            continue
        if isinstance(answer, dict) and "offset" in answer:
            return answer
    return None
