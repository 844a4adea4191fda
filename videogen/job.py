"""One training job, from settings and a workdir to an exit code."""

from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
from absl import logging

from videogen import run as runs
from videogen import workdir as workdirs
from videogen.build import Settings
from videogen.eval.sampling import write_samples
from videogen.eval.validation_loss import validate
from videogen.parallel import multihost
from videogen.parallel.preemption import Preemption
from videogen.run import Run
from videogen.train import loop
from videogen.train.state import TrainState
from videogen.train.writers import make_writer


def train(settings: Settings, workdir: Path) -> int:
    """Starts or resumes the run of `workdir`; returns the exit code."""
    workdirs.prepare(workdir, settings)
    run = runs.make(settings)
    checkpoints = workdirs.open_checkpoints(workdir, run)
    workdirs.record_facts(workdir, run)
    state, start, origin = workdirs.start_state(run, checkpoints)
    if multihost.is_primary():
        print(f"{describe(run)}\n{workdir}: {origin}", flush=True)
    if start >= settings.train.steps:
        print(f"step {start} of {settings.train.steps}: nothing to do", flush=True)
        checkpoints.close()
        return loop.EXIT_DONE
    writer = make_writer(
        workdir,
        num_steps=settings.train.steps,
        config=settings.record,
        primary=multihost.is_primary(),
    )
    # Encoding videos is the host's work: the next step does not wait for it.
    with ThreadPoolExecutor(max_workers=1) as background:
        try:
            return loop.train(
                state,
                start,
                parts=make_parts(run, workdir, background),
                config=settings.train,
                checkpoints=checkpoints,
                writer=writer,
            )
        finally:
            checkpoints.close()
            writer.close()


def make_parts(run: Run, workdir: Path, background: ThreadPoolExecutor) -> loop.Parts:
    """The functions that the loop runs."""
    preemption = Preemption()

    def sample(state: TrainState, step: int) -> None:
        videos = runs.sample(run, state.ema)
        if multihost.is_primary():
            directory = workdirs.samples_dir(workdir, step)
            written = background.submit(write, run, videos, directory, step)
            written.add_done_callback(warn_if_failed)

    return loop.Parts(
        step=run.step,
        batches=run.feed.train_batches,
        validate=lambda state: validate(
            state, run.feed.validation_batches(), run.batch_loss
        ),
        sample=sample,
        should_stop=preemption.requested,
        tokens_per_step=run.tokens_per_clip * run.settings.data.global_batch,
    )


def warn_if_failed(written: Future[None]) -> None:
    """Samples that cannot be written (a full disk) do not end a training run."""
    error = written.exception()
    if error is not None:
        logging.warning("samples not written: %s: %s", type(error).__name__, error)


def write(run: Run, videos: list[np.ndarray], directory: Path, step: int) -> None:
    """The samples of a step, with what made them."""
    config = run.settings.sample
    write_samples(
        directory,
        videos,
        run.feed.captions,
        fps=run.feed.fps,
        upscale=config.upscale,
        facts={"step": step, "seed": config.seed, "guidance": config.guidance},
    )


def describe(run: Run) -> str:
    """Two lines about what is about to train."""
    mesh = " x ".join(f"{axis}={size}" for axis, size in run.mesh.shape.items())
    return (
        f"{run.num_params / 1e6:.2f} M parameters, {run.tokens_per_clip} tokens a clip "
        f"(latent {'x'.join(map(str, run.feed.latent_shape))}), mesh {mesh}\n"
        f"{run.feed.num_clips} training clips, batch {run.settings.data.global_batch}"
    )
