"""What the host can say of its devices without making them wait."""

from typing import Any

import jax
from jax import monitoring

COMPILED = "/jax/core/compile/backend_compile_duration"  # seconds; from the cache too
FOUND = "/jax/compilation_cache/cache_hits"


class Gauges:
    """Since it was last asked: seconds of compiling, programs that the cache had.

    A step that compiles again, because a shape changed, shows here. Beside them the most
    memory that the first local device ever held, where the backend counts it.
    """

    def __enter__(self) -> "Gauges":
        self._seconds, self._found = 0.0, 0
        monitoring.register_event_duration_secs_listener(self._compiled)
        monitoring.register_event_listener(self._event)
        return self

    def __exit__(self, *_: object) -> None:
        monitoring.unregister_event_duration_listener(self._compiled)
        monitoring.unregister_event_listener(self._event)

    def __call__(self) -> dict[str, float]:
        values = {"compile_seconds": self._seconds, "compile_cache_hits": self._found}
        self._seconds, self._found = 0.0, 0
        stats = jax.local_devices()[0].memory_stats() or {}
        if "peak_bytes_in_use" in stats:
            values["peak_memory_gib"] = stats["peak_bytes_in_use"] / 2**30
        return values

    def _compiled(self, event: str, duration_secs: float, **_: Any) -> None:
        self._seconds += duration_secs if event == COMPILED else 0.0

    def _event(self, event: str, **_: Any) -> None:
        self._found += event == FOUND
