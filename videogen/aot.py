"""`videogen aot`: what a config's training step takes on a pod that is not there.

  videogen aot --config=configs/wan2_1_t2v_14b.py --topology=v5p:4x4x8 \\
      --config.mesh.context=4 --config.data.global_batch=32 --price=4.2 --out=report.json

The step that `videogen train` takes, of a config's last stage, is traced from shapes and
compiled ahead of time by libtpu: real kernels, memory (the hosts' too), collectives, schedules.
Nothing is allocated, and no dataset is needed: clips have the shape the model was published
for, or --latent (frames x rows x columns of the latent) and --text_tokens. With --slices=4
--config.mesh.replica=4 the weights are once in each of four such slices, and gradients alone
travel between. Needs libtpu (`make setup-tpu`, then .venv-tpu/bin/videogen). --cache=DIR
compiles a job's own first step, on batches of its config.data.path, for its
JAX_COMPILATION_CACHE_DIR.
"""

import json
from pathlib import Path

from absl import flags

from videogen import door, flagship, warm
from videogen.core.errors import ConfigError
from videogen.cost import compile as compiler
from videogen.cost import refusal
from videogen.forecast import Forecast, advice
from videogen.parallel.chips import Chip, find_topology, num_devices

door.define_config("Required.")
door.define_sample()
flags.adopt_module_key_flags(door)  # --help shows them
TOPOLOGY = flags.DEFINE_string("topology", None, "CHIP:AxB or AxBxC.", required=True)
SLICES = flags.DEFINE_integer("slices", 1, "So many of it.", lower_bound=1)
PRICE = flags.DEFINE_float("price", None, "Of one chip for one hour.", 0.0)
OUT = flags.DEFINE_string("out", None, "A JSON file for all figures.")
CACHE = flags.DEFINE_string("cache", None, "A folder for the job's compiled step.")
TIMEOUT = flags.DEFINE_float("timeout_s", 3600.0, "For the compiler.", 1.0)


def main() -> None:
    """Compiles the step and prints what it takes."""
    door.check_folder(OUT)
    chip = find_topology(TOPOLOGY.value or "")
    forecast = Forecast(chip=chip, report=compile_step(chip), price=PRICE.value)
    print(forecast.describe())
    if OUT.value:
        Path(OUT.value).write_text(json.dumps(forecast.record(), indent=2) + "\n")


def compile_step(chip: Chip) -> compiler.Report:
    """The report of the compiled step. ConfigError for what cannot be, or does not fit."""
    values, cache = flags.FLAGS, Path(CACHE.value) if CACHE.value else None
    case = {"config": door.given_config(), "overrides": door.sample_overrides()}
    if cache and (values.latent or values.text_tokens is not None):
        raise ConfigError("--cache is of the dataset: no --latent, no --text_tokens")
    if cache:
        spec, settings = "videogen.warm:step_case", warm.read(**case)
    else:
        latent = flagship.parse_latent(values.latent)
        case |= {"latent": latent, "text_tokens": values.text_tokens}
        spec, (settings, _) = "videogen.flagship:step_case", flagship.read(**case)
    try:
        return compiler.measure(
            spec,
            chip.name,
            topology=TOPOLOGY.value,
            slices=SLICES.value,
            timeout=TIMEOUT.value,
            cache=cache,
            **case,
        )
    except compiler.CompileError as error:
        said = str(error).removeprefix("ConfigError: ").removeprefix("DataError: ")
        if refused := refusal.parse(str(error)):
            devices = SLICES.value * num_devices(TOPOLOGY.value or "")
            said = advice(refused, settings, devices)
        raise ConfigError(said) from None


if __name__ == "__main__":
    door.run(main)
