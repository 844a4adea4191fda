"""`videogen convert`: released weights <-> ours, a tensor at a time, safetensors only.

  videogen convert --from=diffusers --model=wan2_1_t2v_1_3b SRC DST   # ours in DST
  videogen convert --to=diffusers --model=wan2_1_t2v_1_3b SRC DST     # theirs in DST

SRC of --to is a folder that --from wrote, or a trained workdir (its newest averaged
weights). A release of two experts (Wan2.2 A14B) is two networks: transformer/ is that of
high noise, transformer_2/ that of low, each converted by itself. What --from writes starts
a training as config.init_from. `videogen models` lists the models, and which names
("diffusers", "native": the authors' own) each is known by.
"""

import sys
from pathlib import Path
from typing import Any

from videogen import door
from videogen.core.errors import ConfigError, DataError
from videogen.models.exchange import CONFIG
from videogen.weights import from_release, to_release

DTYPES = ("float32", "bfloat16", "float16")


def main(argv: list[str] | None = None) -> int:
    """Converts; errors for users print one line."""
    options = parse(argv)
    name, where = options.model, (options.source, options.destination)
    try:
        size = (
            from_release(name, options.origin, *where)
            if options.origin
            else to_release(name, options.target, *where, options.dtype)
        )
    except (ConfigError, DataError) as error:
        door.fail(str(error))
    print(f"convert: {size / 2**30:.2f} GiB of {name} in {options.destination}")
    if not (options.destination / CONFIG).exists():
        print("convert: its loader wants a config.json: take the release's")
    return 0


def parse(argv: list[str] | None) -> Any:
    """The command line."""
    parser = door.ArgumentParser(prog="videogen convert", description=__doc__)
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--from", dest="origin", metavar="NAMES")
    which.add_argument("--to", dest="target", metavar="NAMES")
    parser.add_argument("--model", required=True)
    parser.add_argument("--dtype", choices=DTYPES, help="of --to; as it is by default")
    parser.add_argument("source", metavar="SRC", type=Path)
    parser.add_argument("destination", metavar="DST", type=Path)
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
