"""`videogen train`: start or resume a run.

  python -m videogen.train --config=configs/quickstart.py --workdir=runs/a \\
      --config.model.width=256

The same command starts a run, resumes it after any kind of stop, and does nothing once
it is done. SIGTERM saves and exits with 42.
"""

from pathlib import Path

from absl import flags

from videogen import door, job

door.define_config()
WORKDIR = door.define_workdir()
flags.adopt_module_key_flags(door)  # --help shows them
DEBUG = flags.DEFINE_bool(
    "debug", False, "A tiny preset of the config, with NaN checks, in <workdir>-debug."
)


def main() -> int | None:
    """Builds the run from the flags and trains it, with all processes of the job."""
    return door.distributed(train)


def train() -> int:
    """The job of this process."""
    settings, workdir = door.settings(), Path(WORKDIR.value)
    if DEBUG.value:
        settings, workdir = job.debug(settings, workdir)
    return job.train(settings, workdir)


if __name__ == "__main__":
    door.run(main)
