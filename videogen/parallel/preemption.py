"""SIGTERM (or Ctrl-C, in one process) means: save at a step all hosts agree on, stop."""

import signal
import warnings

import jax
from jax.experimental import multihost_utils


class Preemption:
    """Whether to save and stop. Make it after `multihost.initialize()`, once.

    With several processes JAX's notifier owns SIGTERM and picks the step; a Python
    handler installed later would silently disable it, hence the check. With one
    process there is no notifier, so this installs its own handler.
    """

    def __init__(self) -> None:
        self._signalled = False
        self._distributed = jax.distributed.is_initialized()
        if not self._distributed:
            signal.signal(signal.SIGTERM, self._on_signal)
            signal.signal(signal.SIGINT, self._on_signal)

    def requested(self, step: int) -> bool:
        """True on every host at the same step. Call at every step, on every host."""
        if not self._distributed:
            return self._signalled
        if signal.getsignal(signal.SIGTERM) not in (signal.SIG_DFL, None):
            warnings.warn(
                "a Python SIGTERM handler is installed: preemption may go unnoticed",
                RuntimeWarning,
                stacklevel=2,
            )
        return multihost_utils.reached_preemption_sync_point(step)

    def _on_signal(self, signum: int, _frame: object) -> None:
        self._signalled = True
        if signum == signal.SIGINT:  # a second Ctrl-C does not wait for the step
            signal.signal(signal.SIGINT, signal.default_int_handler)
