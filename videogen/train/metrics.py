"""Device scalars -> writers, read late enough that the device never waits for the host.

Step k's metrics are fetched while step k+1 runs (two steps in flight on accelerators). On
the CPU backend one step is in flight at most: with several, the in-process collectives of
forced host devices can starve one another and dead-lock.
"""

import collections
import contextlib
import dataclasses
import time
from collections.abc import Callable, Iterator, Mapping

import jax

from videogen.core.types import Array
from videogen.train.writers import Writer


class NonFiniteError(RuntimeError):
    """Too many consecutive steps had a non-finite loss or gradient."""


def max_in_flight() -> int:
    """Steps that may run at once: 1 on the CPU backend, else 2."""
    return 1 if jax.default_backend() == "cpu" else 2


@dataclasses.dataclass(kw_only=True)
class Meter:
    """Queues each step's metrics; reads, checks, averages and writes them one step late."""

    writer: Writer
    log_every: int
    max_skipped: int  # consecutive non-finite steps before giving up
    tokens_per_step: float
    flops_per_step: float
    peak_flops: float = 0.0  # a second, of all devices; 0: not known
    share: Callable[[int], float] = lambda step: 1.0  # of the whole batch, in a step
    gauges: Callable[[], Mapping[str, float]] = dict  # since they were last asked
    in_flight: int = dataclasses.field(default_factory=max_in_flight)

    def __post_init__(self):
        self._queue: collections.deque[tuple[int, Mapping[str, Array]]]
        self._queue = collections.deque()
        self._skipped = 0
        self._window: list[dict[str, float]] = []
        self._batches = 0.0  # whole ones, of the window
        self._waited = 0.0  # seconds
        self._since = time.perf_counter()

    def push(self, step: int, metrics: Mapping[str, Array]) -> None:
        """Takes the metrics of the step just dispatched; blocks on an earlier one."""
        self._queue.append((step, metrics))
        while len(self._queue) >= self.in_flight:
            self._read()

    def flush(self) -> None:
        """Reads all that is queued: before an evaluation, a save or the end."""
        while self._queue:
            self._read()

    def finish(self, step: int) -> None:
        """Reads all that is queued and writes the window that `step` cuts short."""
        self.flush()
        if self._window:
            self._write(step)

    @contextlib.contextmanager
    def pause(self) -> Iterator[None]:
        """Keeps what is not training (an evaluation) out of the throughput."""
        self.flush()
        began = time.perf_counter()
        yield
        self._since += time.perf_counter() - began

    @contextlib.contextmanager
    def wait(self) -> Iterator[None]:
        """Counts how long a step waits for its batch."""
        began = time.perf_counter()
        yield
        self._waited += time.perf_counter() - began

    def _read(self) -> None:
        step, metrics = self._queue.popleft()
        values = {name: float(value) for name, value in jax.device_get(metrics).items()}
        self._count_skipped(step, values)
        self._window.append(values)
        self._batches += self.share(step - 1)
        if step % self.log_every == 0:
            self._write(step)

    def _count_skipped(self, step: int, values: Mapping[str, float]) -> None:
        self._skipped = self._skipped + 1 if values["skipped"] else 0
        if self._skipped > self.max_skipped:
            raise NonFiniteError(
                f"step {step}: loss or gradient not finite for {self._skipped} steps in a "
                "row; weights are those before them. Lower optimizer.learning_rate, or "
                "look with --debug"
            )

    def _write(self, step: int) -> None:
        seconds = time.perf_counter() - self._since
        rate = len(self._window) / max(seconds, 1e-9)
        batches = self._batches / max(seconds, 1e-9)
        last = self._window[-1]
        finite = [w["loss"] for w in self._window if not w["skipped"]]
        values = {
            **last,
            "loss": sum(finite) / len(finite) if finite else last["loss"],
            "skipped": sum(w["skipped"] for w in self._window),
            "steps_per_second": rate,
            "tokens_per_second": batches * self.tokens_per_step,
            "tflops_per_second": batches * self.flops_per_step / 1e12,
            "data_wait_seconds": self._waited / len(self._window),
            **self.gauges(),
        }
        if self.peak_flops:
            values["mfu"] = batches * self.flops_per_step / self.peak_flops
        self._window, self._batches, self._waited = [], 0.0, 0.0
        self._since = time.perf_counter()
        self.writer.write(step, "train", values)
