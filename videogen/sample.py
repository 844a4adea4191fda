"""`videogen sample`: captions -> mp4s and a contact sheet, by a trained workdir.

  python -m videogen.sample --workdir=runs/a \\
      "--config.sample.prompts=('a red bicycle','a white rabbit')" --config.sample.seed=1

Uses the newest checkpoint's averaged weights and the workdir's own config.
"""

from pathlib import Path

from absl import flags

from videogen import door, job, run, start
from videogen import workdir as workdirs
from videogen.core.errors import ConfigError
from videogen.parallel import multihost

door.define_config()
WORKDIR = door.define_workdir()
flags.adopt_module_key_flags(door)  # --help shows them
OUT = flags.DEFINE_string(
    "out", None, "Where to write (default: <workdir>/samples/step_<step>_prompts)."
)


def main() -> None:
    """Restores the newest weights, samples every prompt, writes the videos."""
    door.distributed(sample)


def sample() -> None:
    """One program on every process; the first writes."""
    workdir = Path(WORKDIR.value)
    parts = run.make(workdirs.stage_of(door.settings(), workdir))
    state, step = start.restore(parts, workdir)
    training = workdirs.samples_dir(workdir, step)
    out = Path(OUT.value or f"{training}_prompts")
    videos = run.sample(parts, state.averages)
    if multihost.is_primary():
        try:
            job.write(parts, videos, out, step)
        except OSError as error:
            raise ConfigError(
                f"--out={out} cannot be written ({error.strerror}); give a directory on "
                "a disk with space and write permission"
            ) from error
        print(f"sample: {len(videos)} videos by step {step} in {out}")


if __name__ == "__main__":
    door.run(main)
