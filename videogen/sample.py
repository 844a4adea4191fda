"""`videogen sample`: captions -> mp4s and a contact sheet, by a trained workdir.

  python -m videogen.sample --workdir=runs/a \\
      "--config.sample.prompts=('a red bicycle','a white rabbit')" --config.sample.seed=1

With frames that are given, to a network trained so (config.tasks): the first one (i2v), the
first or last ones (forward, backward), the first and last (keyframes):

  python -m videogen.sample --workdir=runs/a "--config.sample.prompts=('a red bicycle',)" \\
      --config.sample.task=i2v "--config.sample.given=('first.png',)"

`given` has an image or a video for each prompt, scaled and cropped to the clip's size; for
keyframes also two, first and last.

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
    state, step = start.restore(parts, workdir)
    training = workdirs.samples_dir(workdir, step)
    out = Path(OUT.value or f"{training}_prompts")
    samples = run.sample(parts, state.averages)
    if multihost.is_primary():
        try:
            job.write(parts, samples, out, step, rewritten)
        except OSError as error:
            raise ConfigError(
                f"--out={out} cannot be written ({error.strerror}); give a directory on "
                "a disk with space and write permission"
            ) from error
        print(f"sample: {len(samples)} videos by step {step} in {out}")


if __name__ == "__main__":
    door.run(main)
