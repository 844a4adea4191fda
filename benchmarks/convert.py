"""Peak memory and time of converting a whole checkpoint, there and back.

    .venv/bin/python -m benchmarks.convert --model=wan2_1_t2v_14b

The source is made here: every tensor of the release, bfloat16, all zeros, as a sparse file
that takes no disk. What is written does: twice the model. Peak memory is what the kernel
counts for the process, pages of the mapped source included.
"""

import argparse
import json
import math
import resource
import shutil
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from videogen.models import find_published
from videogen.models.convert import table_of
from videogen.weights import shapes_of


def main() -> int:
    parser = argparse.ArgumentParser(prog="benchmarks.convert", description=__doc__)
    parser.add_argument("--model", default="wan2_1_t2v_14b")
    parser.add_argument("--names", default="diffusers")
    parser.add_argument("--folder", help="where there is disk for twice the model")
    options = parser.parse_args()
    root = Path(tempfile.mkdtemp(prefix="videogen-convert-", dir=options.folder))
    try:
        size = make_source(root / "theirs", options.model, options.names)
        print(f"{options.model}: {size / 2**30:.2f} GiB of bfloat16 to read")
        for flag, source, out in (("from", "theirs", "ours"), ("to", "ours", "back")):
            command = [f"--{flag}={options.names}", f"--model={options.model}"]
            run([*command, str(root / source), str(root / out)])
    finally:
        shutil.rmtree(root)
    return 0


def make_source(folder: Path, model: str, names: str) -> int:
    """A sparse .safetensors file with every tensor of the release; its bytes."""
    family, published = find_published(model)
    shapes = shapes_of(family, published.config)
    header, end = {}, 0
    for key, shape in table_of(published, model, names).their_shapes(shapes).items():
        begin, end = end, end + 2 * math.prod(shape)
        header[key] = {
            "dtype": "BF16",
            "shape": list(shape),
            "data_offsets": [begin, end],
        }
    text = json.dumps(header).encode()
    folder.mkdir()
    with (folder / "model.safetensors").open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.truncate(8 + len(text) + end)
    return end


def run(arguments: list[str]) -> None:
    """One conversion in a process of its own: what it says, its time and peak memory."""
    began = time.monotonic()
    subprocess.run([sys.executable, "-m", "videogen.convert", *arguments], check=True)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
    seconds = time.monotonic() - began
    print(f"{arguments[0]}: {seconds:.0f} s, peak {peak:.2f} GiB so far", flush=True)


if __name__ == "__main__":
    sys.exit(main())
