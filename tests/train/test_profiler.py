"""A window of steps is traced, those steps and no other, however the run ends."""

from pathlib import Path

import jax
import jax.numpy as jnp
import pytest

from videogen.core.errors import ConfigError
from videogen.train import loop
from videogen.train.profiler import Profiler


class Traces:
    """In place of jax.profiler: whether a window is open, and where it will lie."""

    def __init__(self):
        self.running, self.directories = False, []

    def start_trace(self, directory):
        assert not self.running
        self.running = True
        self.directories.append(directory)

    def stop_trace(self):
        assert self.running
        self.running = False


def run(profiler, num_steps, step):
    """As the loop has it."""
    for done in range(num_steps):
        if profiler.is_due(done):
            profiler.turn()
        step(done)
    profiler.close()


@pytest.mark.parametrize(
    "at, steps, num_steps, seen",
    [
        (2, 3, 9, [2, 3, 4]),
        (7, 3, 9, [7, 8]),
        (9, 3, 9, []),
        (0, 3, 9, []),
        (20, 3, 9, []),
    ],
)
def test_the_window_holds_the_steps_that_follow(
    monkeypatch, tmp_path, at, steps, num_steps, seen
):
    traces = Traces()
    monkeypatch.setattr(jax, "profiler", traces)
    traced = []
    run(
        Profiler(directory=tmp_path, at=at, steps=steps),
        num_steps,
        lambda done: traced.append(done) if traces.running else None,
    )
    assert traced == seen and not traces.running
    assert traces.directories == [tmp_path][: bool(seen)]


def test_xprof_finds_the_trace(tmp_path):
    run(Profiler(directory=tmp_path, at=1, steps=1), 3, lambda done: jnp.ones(done))
    (found,) = Path(tmp_path).rglob("*.xplane.pb")
    assert found.parts[-4:-2] == ("plugins", "profile") and found.stat().st_size


def test_a_window_needs_a_step():
    with pytest.raises(ConfigError, match="train.profile_steps=0 must be at least 1"):
        loop.LoopConfig(steps=1, profile_steps=0)
