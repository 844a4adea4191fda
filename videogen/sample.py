"""`videogen sample`: captions -> mp4s and a contact sheet, by a trained workdir.

  python -m videogen.sample --workdir=runs/a \\
      "--config.sample.prompts=('a red bicycle','a white rabbit')" --config.sample.seed=1

Uses the newest checkpoint's averaged weights and the workdir's own config.
"""

from pathlib import Path

from absl import flags

from videogen import door, job, run
from videogen import workdir as workdirs
from videogen.parallel import multihost

door.define_config()
WORKDIR = door.define_workdir()
OUT = flags.DEFINE_string(
    "out", None, "Where to write (default: <workdir>/samples/step_<step>)."
)


def main() -> None:
    """Restores the newest weights, samples every prompt, writes the videos."""
    multihost.initialize()
    workdir = Path(WORKDIR.value)
    parts = run.make(door.settings())
    state, step = workdirs.restore(parts, workdir)
    out = Path(OUT.value) if OUT.value else workdirs.samples_dir(workdir, step)
    videos = run.sample(parts, state.ema)
    if multihost.is_primary():
        job.write(parts, videos, out, step)
        print(f"sample: {len(videos)} videos by step {step} in {out}")


if __name__ == "__main__":
    door.run(main)
