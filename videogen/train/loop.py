"""The loop: restore, step, evaluate, save, stop. No mathematics, no waiting.

The order is law. Metrics of a step are read after the next one is dispatched. What
happens at a step boundary (validation, samples, a checkpoint) sees the state after the
step, and nothing it does changes that state but `plateau`, so a run that was killed and
resumed repeats the run that was not.
"""

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from videogen.core.errors import ConfigError
from videogen.core.types import Batch
from videogen.train.checkpoint import Checkpoints
from videogen.train.metrics import Meter
from videogen.train.profiler import Profiler
from videogen.train.state import TrainState
from videogen.train.writers import Writer

EXIT_DONE = 0
EXIT_PREEMPTED = 42
MAY_BE_0 = ("validate_every", "sample_every", "max_skipped", "profile_at")


@dataclasses.dataclass(frozen=True, kw_only=True)
class LoopConfig:
    """When things happen, in steps; 0 is never (but the last step is always saved).

    profile_at: the `profile_steps` steps after it are traced (profiler.py).
    """

    steps: int
    log_every: int = 10
    validate_every: int = 0
    sample_every: int = 0
    checkpoint_every: int = 1000
    keep_checkpoints: int = 3
    max_skipped: int = 20
    profile_at: int = 0
    profile_steps: int = 5

    def __post_init__(self):
        for name, value in dataclasses.asdict(self).items():
            if value < (0 if name in MAY_BE_0 else 1):
                raise ConfigError(
                    f"train.{name}={value} must be at least {int(name not in MAY_BE_0)}"
                )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Parts:
    """What the loop runs, as functions; build.py makes them, session.py holds them too."""

    step: Callable[[TrainState, Batch], tuple[TrainState, dict[str, Any]]]
    batches: Callable[[int], Iterator[Batch]]  # from a step on
    validate: Callable[[TrainState], dict[str, float]]
    sample: Callable[[TrainState, int], None]
    should_stop: Callable[[int], bool]  # a preemption notice, agreed on by all hosts
    tokens_per_step: float
    flops_per_step: float
    profiler: Profiler
    peak_flops: float = 0.0  # a second, of all devices; 0: not known
    gauges: Callable[[], Mapping[str, float]] = dict  # since they were last asked
    share: Callable[[int], float] = lambda step: 1.0  # of the whole batch, in a step
    # The state after the validation loss of a step: train/plateau.py.
    observe: Callable[[TrainState, int, float], TrainState] | None = None


def train(
    state: TrainState,
    start: int,
    *,
    parts: Parts,
    config: LoopConfig,
    checkpoints: Checkpoints,
    writer: Writer,
) -> tuple[TrainState, int]:
    """Runs from step `start` to `config.steps`; returns the state and the exit code."""
    # A checkpoint comes before its step's validation, which may cut the learning rate.
    owed = parts.observe is not None and start < config.steps
    if config.validate_every and (
        start == 0 or (owed and _due(start, config.validate_every))
    ):
        state = _validate(state, start, parts, config, writer)
    meter = Meter(
        writer=writer,
        log_every=config.log_every,
        max_skipped=config.max_skipped,
        tokens_per_step=parts.tokens_per_step,
        flops_per_step=parts.flops_per_step,
        peak_flops=parts.peak_flops,
        share=parts.share,
        gauges=parts.gauges,
    )
    batches = parts.batches(start)
    for step in range(start, config.steps):
        if parts.profiler.is_due(step):
            meter.flush()
            parts.profiler.turn()
        with meter.wait():
            batch = next(batches)
        state, metrics = parts.step(state, batch)
        done = step + 1
        meter.push(done, metrics)
        stop = parts.should_stop(done)
        last = done == config.steps
        # First of all: a preempted host has seconds left, and a sample can fail.
        if stop or _due(done, config.checkpoint_every, last):
            meter.flush()
            checkpoints.save(done, state)
        if stop or last:
            meter.finish(done)
        if stop:
            return state, EXIT_PREEMPTED
        if _due(done, config.validate_every, last):
            with meter.pause():
                state = _validate(state, done, parts, config, writer)
        if _due(done, config.sample_every, last):
            with meter.pause():
                parts.sample(state, done)
    return state, EXIT_DONE


def _validate(
    state: TrainState, done: int, parts: Parts, config: LoopConfig, writer: Writer
) -> TrainState:
    values = parts.validate(state)
    writer.write(done, "validation", values)
    # The last step's may be out of turn: a longer run would not see it.
    if parts.observe is None or not _due(done, config.validate_every):
        return state
    return parts.observe(state, done, values["loss"])


def _due(done: int, every: int, last: bool = False) -> bool:
    return every > 0 and (done % every == 0 or last)
