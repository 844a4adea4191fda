"""`videogen convert`: released weights <-> ours, a tensor at a time, safetensors only.

  videogen convert --from=diffusers --model=wan2_1_t2v_1_3b SRC DST   # ours in DST
  videogen convert --to=diffusers --model=wan2_1_t2v_1_3b SRC DST     # theirs in DST

SRC of --to is a folder that --from wrote, or a trained workdir (its newest averaged
weights). What --from writes starts a training as config.init_from. `videogen models` lists
the models, and which names ("diffusers", "native": the authors' own) each is known by.
"""

import dataclasses
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from videogen import door
from videogen.core.errors import ConfigError, DataError
from videogen.core.fields import fill
from videogen.models import FAMILIES, find_published
from videogen.models.convert import export_weights, import_weights
from videogen.models.exchange import Layers, Tensors
from videogen.models.published import Published
from videogen.nn.fence import Network
from videogen.train.stored import Arrays, open_stored

DTYPES = ("float32", "bfloat16", "float16")


def main(argv: list[str] | None = None) -> int:
    """Converts; errors for users print one line."""
    options = parse(argv)
    try:
        print(convert(options))
    except (ConfigError, DataError) as error:
        door.fail(str(error))
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


def convert(options: Any) -> str:
    """What was done, on one line."""
    name, destination = options.model, options.destination
    family, published = find_published(name)
    if options.origin:
        shapes = shapes_of(family, published.config)
        size = import_weights(
            published, name, options.origin, shapes, options.source, destination
        )
    else:
        published, tensors = ours(family, published, options.source)
        shapes = shapes_of(family, published.config)
        dtype = options.dtype and np.dtype(options.dtype)
        size = export_weights(
            published, name, options.target, shapes, tensors, destination, dtype=dtype
        )
    return f"convert: {size / 2**30:.2f} GiB of {name} in {destination}"


def shapes_of(family: str, config: Any) -> dict[str, tuple[int, ...]]:
    """Of every parameter; allocates nothing."""
    network = Network.of(FAMILIES[family].make(config))
    return {path: leaf.shape for path, leaf in network.abstract().items()}


def ours(
    family: str, published: Published, source: Path
) -> tuple[Published, Mapping[str, np.ndarray]]:
    """The model as `source` has it, whose sizes may be its own, and its tensors."""
    stored = open_stored(source)
    values = dict(stored.model)
    if values.pop("family", family) != family:
        raise ConfigError(f"{source} is a model of another family than {family}")
    config = fill(FAMILIES[family].config, values, "config.model")
    tensors = Layers(Arrays(stored))
    if any(source.glob("*.safetensors")):
        tensors = Tensors(source)  # as they are, in their own dtype
    return dataclasses.replace(published, config=config), tensors


if __name__ == "__main__":
    sys.exit(main())
