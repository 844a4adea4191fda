"""`videogen sample`: captions -> mp4s and a contact sheet, by a trained workdir.

  python -m videogen.sample --workdir=runs/a \\
      "--config.sample.prompts=('a red bicycle','a white rabbit')" --config.sample.seed=1

With frames that are given, to a network trained so (config.tasks): the first one (i2v), the
first or last ones (forward, backward), the first and last (keyframes):

  python -m videogen.sample --workdir=runs/a "--config.sample.prompts=('a red bicycle',)" \\
      --config.sample.task=i2v "--config.sample.given=('first.png',)"

`given` has an image or a video for each prompt, scaled and cropped to the clip's size; for
keyframes also two, first and last.

By two experts of noise levels (Wan2.2), each trained in a workdir of its own: steps below
config.sample.boundary are the second one's, a workdir or what `videogen convert --from` wrote.
Both are in memory at once.

  python -m videogen.sample --workdir=runs/high --low_noise=runs/low

With --rewrite=http://host:8000/v1 --rewrite_model=NAME a language model first puts the prompts
into the style of the training captions.

Uses the newest checkpoint's averaged weights and the workdir's own config.
"""

from pathlib import Path

from absl import flags

from videogen import door, job, rewriting, run, start
from videogen import workdir as workdirs
from videogen.core.errors import ConfigError
from videogen.parallel import multihost

door.define_config()
WORKDIR = door.define_workdir()
flags.adopt_module_key_flags(door)  # --help shows them
flags.adopt_module_key_flags(rewriting)
OUT = flags.DEFINE_string(
    "out", None, "Where to write (default: <workdir>/samples/step_<step>_prompts)."
)
LOW_NOISE = flags.DEFINE_string(
    "low_noise",
    None,
    "A workdir or converted folder: the network of the steps below config.sample.boundary.",
)


def main() -> None:
    """Restores the newest weights, samples every prompt, writes the videos."""
    door.distributed(sample)


def sample() -> None:
    """One program on every process; the first writes."""
    workdir = Path(WORKDIR.value)
    settings = workdirs.stage_of(door.settings(), workdir)
    settings, rewritten = rewriting.rewritten(settings, workdir)
    parts = run.make(settings)
    run.sample_conditions(parts)  # its complaints before the weights
    low = start.expert(parts, Path(LOW_NOISE.value)) if LOW_NOISE.value else None
    state, step = start.restore(parts, workdir)
    out = Path(OUT.value or f"{workdirs.samples_dir(workdir, step)}_prompts")
    samples = run.sample(parts, state.averages, low=low)
    if multihost.is_primary():
        try:
            job.write(parts, samples, out, step, rewritten)
        except OSError as error:
            raise ConfigError(
                f"--out={out} cannot be written ({error.strerror}); give a directory on "
                "a disk with space and write permission"
            ) from error
        alone = settings.sample.boundary and low is None
        note = " (of two experts one alone: no --low_noise)" if alone else ""
        print(f"sample: {len(samples)} videos by step {step} in {out}{note}")


if __name__ == "__main__":
    door.run(main)
