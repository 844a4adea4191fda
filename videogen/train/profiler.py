"""One window of steps as a trace for xprof: where the time of a step goes.

It lies in <workdir>/profile, where `tensorboard --logdir` with the xprof plugin finds it.
Every host traces its own devices.
"""

import dataclasses
from pathlib import Path

import jax


@dataclasses.dataclass(kw_only=True)
class Profiler:
    """Traces the `steps` steps that follow step `at`; at=0: none.

    The caller waits for the device before each call that `is_due`, so that the trace has
    those steps whole.
    """

    directory: Path
    at: int
    steps: int
    _running: bool = False

    def is_due(self, done: int) -> bool:
        """Whether the window opens or closes between step `done` and the next."""
        return self.at > 0 and (
            done == self.at or (self._running and done == self.at + self.steps)
        )

    def turn(self) -> None:
        """Opens the window, or closes it."""
        if self._running:
            jax.profiler.stop_trace()
        else:
            jax.profiler.start_trace(self.directory)
        self._running = not self._running

    def close(self) -> None:
        """Writes a window that the end of the run cut short."""
        if self._running:
            self.turn()
