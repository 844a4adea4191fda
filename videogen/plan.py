"""`videogen plan`: which mesh, remat policy and microbatches, before anything is rented.

  videogen plan --config=configs/wan2_1_t2v_14b.py --chips=v5p:128 \\
      --global_batch=128

Every layout that training accepts, but for those that pad a clip's tokens to cut them over
`context`, is estimated by arithmetic on the traced step (no compiler, no TPU: seconds); the
best --verify of those that fit are compiled as `videogen aot` does (minutes each, by libtpu).
It prints them by their estimated step time and the flags of the best. A field given as
--config.mesh.context=4, --config.model.remat=full or --config.optimizer.microbatches=1 stays as
given. Clips are those of `videogen aot`. Chips are counted: v5p:128 is the cloud's v5p-256.
"""

import json
import shlex
from pathlib import Path

from absl import flags

from videogen import door, flagship
from videogen.parallel.chips import find_slice
from videogen.planner import candidates, search, table, verify

door.define_config("Required.")
door.define_sample()
flags.adopt_module_key_flags(door)  # --help shows them
CHIPS = flags.DEFINE_string("chips", None, "CHIP:NUMBER, as v5p:128.", required=True)
VERIFY = flags.DEFINE_integer("verify", 1, "How many to compile; 0: none.", 0)
SLICES = flags.DEFINE_integer("slices", 1, "Slices of so many chips.", 1)
SHOW = flags.DEFINE_integer("show", 10, "Lines of the table.", 1)
JSON = flags.DEFINE_string("json", None, "A file for all that fit.")
TIMEOUT = flags.DEFINE_float("timeout_s", 3600.0, "For each compilation.", 1.0)


def main() -> None:
    """Searches, verifies, prints."""
    values = flags.FLAGS
    config = door.given_config()
    door.check_folder(JSON)
    chip, topology = find_slice(CHIPS.value or "")
    overrides = door.sample_overrides()
    sample = {
        "latent": flagship.parse_latent(values.latent),
        "text_tokens": values.text_tokens,
    }
    settings, shape = flagship.read(config, overrides, *sample.values())
    pinned = candidates.pinned_by(overrides)
    if VERIFY.value:
        verify.check_compiler()
    problem = search.make_problem(settings, shape, chip, topology, pinned, SLICES.value)
    case = {"config": config, "overrides": overrides, "topology": topology}
    case["slices"] = SLICES.value
    found = list(
        verify.choices(
            search.search(problem),
            VERIFY.value,
            chip,
            **case | sample | {"timeout": TIMEOUT.value},
        )
    )
    best = verify.best(found)
    print(problem.summary)
    print(table.describe(found, SHOW.value))
    if best.forecast is None:
        print("unverified: an estimate alone (benchmarks/planner.py says how good)")
    chosen = dict(
        text.split("=", 1) for text in (*overrides, *best.estimate.layout.flags)
    )
    fields = [f"--config.{name}={value}" for name, value in chosen.items()]
    print(f"flags: {shlex.join([f'--config={config}', *fields])}")
    if JSON.value:
        record = case | sample | {"layouts": [x.record() for x in found]}
        Path(JSON.value).write_text(json.dumps(record, indent=2) + "\n")


if __name__ == "__main__":
    door.run(main)
