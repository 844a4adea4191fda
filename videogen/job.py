"""One training job, from settings and a workdir to an exit code."""

import contextlib
import dataclasses
import itertools
import shutil
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import jax
import numpy as np
from absl import logging

from videogen import handover, notes, stages
from videogen import run as runs
from videogen import start as starts
from videogen import workdir as workdirs
from videogen.build import Settings, Stage, shrink
from videogen.eval.sampling import Sample, write_samples
from videogen.eval.validation_loss import validate
from videogen.parallel import multihost
from videogen.parallel.preemption import Preemption
from videogen.run import Run
from videogen.train import loop
from videogen.train.checkpoint import Checkpoints
from videogen.train.gauges import Gauges
from videogen.train.profiler import Profiler
from videogen.train.state import TrainState
from videogen.train.writers import make_writer


def train(settings: Settings, workdir: Path) -> int:
    """Starts or resumes the run of `workdir`; returns the exit code.

    All that can be wrong is found before the first step, and before anything is written.
    """
    with workdirs.claim(workdir):
        multihost.sync("workdir")
        parts = [runs.make(stage) for stage in stages.of(settings)]
        for run in parts:
            check_evaluations(run)
        for before, after in itertools.pairwise(parts):
            handover.compare(before, after)
        latest = workdirs.newest_step(workdir) if len(parts) > 1 else None
        parts = parts[stages.trained([run.settings for run in parts], latest or 0) :]
        checkpoints = workdirs.open_checkpoints(workdir, parts[0])
        if checkpoints.latest_step() is None:
            starts.find_weights(parts[0])
        workdirs.record(workdir, parts[0])
        try:
            code = train_from(parts, workdir, checkpoints)
        except Exception:
            if jax.process_count() == 1:  # with more, the others must hear of it first
                checkpoints.close()
            raise
        checkpoints.close()
        if code == loop.EXIT_PREEMPTED:
            say(f"{workdir}: asked to stop, saved; the same command goes on")
        return code


def train_from(parts: list[Run], workdir: Path, checkpoints: Checkpoints) -> int:
    """The loop, from the newest checkpoint or from the start, through the stages left."""
    run = parts[0]
    state, start, origin = starts.start_state(run, checkpoints)
    steps = parts[-1].settings.train.steps
    if start >= steps:
        say(f"{workdir}: step {start} of {steps}: nothing to do")
        return loop.EXIT_DONE
    say(f"{describe(run)}\n{workdir}: {origin}")
    if said := describe_notes(run.settings):
        say(said)
    writer = make_writer(
        workdir,
        num_steps=steps,
        config=run.settings.record,
        primary=multihost.is_primary(),
    )
    preemption = Preemption()
    profiler = Profiler(
        directory=workdirs.profile_dir(workdir),
        at=run.settings.train.profile_at,
        steps=run.settings.train.profile_steps,
    )
    with (
        contextlib.closing(writer),
        contextlib.closing(profiler),
        Gauges() as gauges,
        # Encoding videos is the host's work: the next step does not wait for it.
        ThreadPoolExecutor(max_workers=1) as background,
    ):
        for before, run in zip([None, *parts], parts, strict=False):
            if before is not None:
                state = handover.hand_over(state, before, run)
                checkpoints.metadata |= workdirs.metadata(run)
                workdirs.record(workdir, run)
                say(describe(run))
            if start >= run.settings.train.steps:  # resumed at the stage's end
                continue
            state, code = loop.train(
                state,
                start,
                parts=make_parts(
                    run, workdir, background, preemption, profiler, gauges
                ),
                config=run.settings.train,
                checkpoints=checkpoints,
                writer=writer,
            )
            if code != loop.EXIT_DONE:
                return code
            start = run.settings.train.steps
    return loop.EXIT_DONE


def debug(settings: Settings, workdir: Path) -> tuple[Settings, Path]:
    """A tiny experiment of the same kind, with NaN checks, in an empty <workdir>-debug.

    Of a recipe in stages it is the first.
    """
    jax.config.update("jax_debug_nans", True)
    workdir = workdir.with_name(f"{workdir.name}-debug")
    if multihost.is_primary():
        shutil.rmtree(workdir, ignore_errors=True)
    first = dataclasses.replace(stages.of(settings)[0], stage=Stage(), whole=None)
    return shrink(first, jax.device_count()), workdir


def check_evaluations(run: Run) -> None:
    """Now, not hours later: what validation and samples need is there."""
    if run.settings.train.validate_every:
        _ = run.feed.validation
    if run.settings.train.sample_every:
        runs.sample_conditions(run)


def make_parts(
    run: Run,
    workdir: Path,
    background: ThreadPoolExecutor,
    preemption: Preemption,
    profiler: Profiler,
    gauges: Gauges,
) -> loop.Parts:
    """The functions that the loop runs."""

    def sample(state: TrainState, step: int) -> None:
        samples = runs.sample(run, state.averages)
        if multihost.is_primary():
            directory = workdirs.samples_dir(workdir, step)
            written = background.submit(write, run, samples, directory, step)
            written.add_done_callback(warn_if_failed)

    def observe(state: TrainState, step: int, loss: float) -> TrainState:
        seen = run.observe(state.plateau, np.int32(step), np.float32(loss))
        return dataclasses.replace(state, plateau=seen)

    run.feed.bad_records.file = workdirs.bad_records(workdir)
    return loop.Parts(
        step=run.step,
        batches=run.feed.train_batches,
        validate=lambda state: validate(
            state, run.feed.validation_batches(), run.batch_loss
        ),
        sample=sample,
        should_stop=preemption.requested,
        tokens_per_step=run.tokens_per_step,
        flops_per_step=run.flops_per_step,
        peak_flops=run.peak_flops,
        profiler=profiler,
        gauges=gauges,
        share=run.feed.share,
        observe=observe if run.settings.plateau.is_on else None,
    )


def warn_if_failed(written: Future[None]) -> None:
    """Samples that cannot be written (a full disk) do not end a training run."""
    error = written.exception()
    if error is not None:
        logging.warning("samples not written: %s: %s", type(error).__name__, error)


def write(
    run: Run,
    samples: list[Sample],
    directory: Path,
    step: int,
    facts: dict[str, object] | None = None,
) -> None:
    """The samples of a step, with what made them and further `facts`."""
    config = run.settings.sample
    given = {"task": config.task, "given": config.given} if config.given else {}
    write_samples(
        directory,
        samples,
        run.feed.captions,
        fps=run.feed.fps,
        sound_rate=run.feed.audio.rate if run.feed.audio else 0,
        upscale=config.upscale,
        facts={"step": step, "seed": config.seed, "guidance": config.guidance}
        | given
        | (facts or {}),
    )


def say(text: str) -> None:
    """Prints, once for all processes."""
    if multihost.is_primary():
        print(text, flush=True)


def describe_notes(settings: Settings) -> str:
    """Which values of the recipe are published, which are assumed."""
    return notes.describe(settings.published, settings.assumed, settings.record)


def describe(run: Run) -> str:
    """What is about to train: its size, its work, its data."""
    count = sum(leaf.size for leaf in run.abstract.params.values())
    trained = f" ({count:,} of them trained)" if run.abstract.frozen else ""
    mesh = " x ".join(f"{axis}={size}" for axis, size in run.mesh.shape.items())
    stage = run.settings.stage
    name = f"stage {stage.name}, from step {stage.start}: " if stage.name else ""
    return (
        f"{name}{run.num_params / 1e6:.2f} M parameters{trained}, {run.tokens_per_clip} tokens "
        "a clip "
        f"(latent {'x'.join(map(str, run.feed.latent_shape))}), mesh {mesh}\n"
        f"{run.flops_per_step / 1e12:,.3g} TFLOP a step, without recomputation; weights, "
        f"moments and averages are {run.state_bytes / 2**30:.3g} GiB of each device\n"
        f"{run.feed.num_clips} training clips, batch {run.feed.describe_batch()}"
    )
