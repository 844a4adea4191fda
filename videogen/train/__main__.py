"""`videogen train`: start or resume a run.

  python -m videogen.train --config=configs/quickstart.py --workdir=runs/a \\
      --config.model.width=256

The same command starts a run, resumes it after any kind of stop, and does nothing once
it is done. SIGTERM saves and exits with 42.
"""

from pathlib import Path

import jax
from absl import flags

from videogen import door, job
from videogen.core.errors import ConfigError, DataError
from videogen.parallel import multihost
from videogen.train.metrics import NonFiniteError

door.define_config()
WORKDIR = door.define_workdir()
DEBUG = flags.DEFINE_bool(
    "debug", False, "A tiny preset of the config, with NaN checks, in <workdir>-debug."
)


def main() -> int:
    """Builds the run from the flags and trains it."""
    multihost.initialize()
    guard = multihost.install_guard()
    workdir = Path(WORKDIR.value)
    if DEBUG.value:
        jax.config.update("jax_debug_nans", True)
        workdir = workdir.with_name(f"{workdir.name}-debug")
    try:
        devices = jax.device_count() if DEBUG.value else 0
        return job.train(door.settings(debug_devices=devices), workdir)
    except (ConfigError, DataError, NonFiniteError) as error:
        if jax.process_count() == 1:
            raise
        # The other processes wait in a collective: they must be told.
        guard.abort(str(error), door.exit_code(error))


if __name__ == "__main__":
    door.run(main)
