"""The parts of a run, held open for a Python prompt on a TPU VM.

    from videogen.session import Session

    run = Session("configs/quickstart.py", "model.depth=2")
    run.loss()                      # of batch 0, with the initial weights
    run.step()                      # one optimiser step; returns its metrics
    run.sample("a red bicycle")     # a list of one: .frames_THWC uint8, .sound_S or None
    run.state.params["proj_out.kernel"]
    run.shardings()

On a pod, start the same lines on every worker (`videogen launch`); each call is then one
program on all of them.
"""

from pathlib import Path

import jax

from videogen import build, stages, start
from videogen import run as runs
from videogen import workdir as workdirs
from videogen.core.types import Batch
from videogen.eval.sampling import Sample, SampleConfig
from videogen.parallel import multihost
from videogen.train.state import TrainState


class Session:
    """A run at step 0, or at the newest checkpoint of `workdir`, one call at a time."""

    def __init__(self, config: str, *overrides: str, workdir: str | None = None):
        multihost.initialize()
        loaded = build.load_config(config)
        build.override(loaded, overrides)
        settings = build.read(loaded)
        if workdir is not None:
            settings = workdirs.stage_of(settings, Path(workdir))
        self.run = runs.make(stages.of(settings)[0])
        self.state: TrainState = self._start(workdir)

    def batch(self, step: int | None = None) -> Batch:
        """The batch of a step (default: the next one), on the devices."""
        at = int(self.state.step) if step is None else step
        return next(self.run.feed.train_batches(at, at + 1))

    def step(self, batch: Batch | None = None) -> dict[str, float]:
        """One optimiser step; `state` moves on. Returns the metrics."""
        batch = self.batch() if batch is None else batch
        self.state, metrics = self.run.step(self.state, batch)
        return {name: float(value) for name, value in jax.device_get(metrics).items()}

    def loss(self, batch: Batch | None = None) -> float:
        """The training loss that the next step would see, without taking it."""
        batch = self.batch() if batch is None else batch
        return float(self.run.loss(self.state.weights, batch, self.state.step))

    def sample(
        self, *prompts: str, task: str = "t2v", given: tuple[str, ...] = ()
    ) -> list[Sample]:
        """A sample of each prompt (default: the config's), by the EMA weights.

        task, given: what frames each is given of its video, as in config.sample.
        """
        if not prompts:
            return runs.sample(self.run, self.state.averages)
        config = SampleConfig(prompts=prompts, task=task, given=given)
        return runs.sample(self.run, self.state.averages, prompts, config)

    def shardings(self) -> dict[str, str]:
        """{dotted path: "shape spec"} of every leaf of the state."""
        leaves = jax.tree.leaves_with_path(self.run.abstract)
        return {
            jax.tree_util.keystr(path, simple=True, separator="."): (
                f"{leaf.dtype}{list(leaf.shape)} {leaf.sharding.spec}"
            )
            for path, leaf in leaves
        }

    def _start(self, directory: str | None) -> TrainState:
        if directory is None:
            return self.run.init()
        return start.restore(self.run, Path(directory))[0]
