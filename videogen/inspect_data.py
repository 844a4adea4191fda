"""`videogen inspect data DIR`: what a dataset holds, as text and as an HTML page.

videogen inspect data data/latents [--checksums] [--patch 1,2,2] [--out FILE]
"""

import argparse
import sys
from pathlib import Path
from typing import Any

from videogen import door
from videogen.core.errors import ConfigError, DataError
from videogen.data.checksums import check_bytes
from videogen.data.source import open_dataset


def main(argv: list[str] | None = None) -> int:
    """Prints the facts and writes the page; errors for users print one line."""
    options = parse(argv)
    try:
        from videogen.eval.dataset_page import render
        from videogen.eval.page import write_page
    except ModuleNotFoundError as error:
        door.fail(f"the page needs {error.name}: pip install 'videogen[eval]'")
    out = options.out or options.directory / "inspect.html"
    try:
        if options.checksums:
            files = check_bytes(open_dataset(options.directory))
            print(f"checksums: {files} files are as they were written")
        page, facts = render(options.directory, options.patch)
        write_page(out, page)
    except (ConfigError, DataError) as error:
        door.fail(str(error))
    for name, value in (facts.counts | facts.latents).items():
        print(f"{name:<24}{value}")
    for bucket in facts.buckets:
        print(", ".join(f"{name} {value}" for name, value in bucket.items()))
    print(f"inspect: {out}")
    return 0


def parse(argv: list[str] | None) -> Any:
    """The command line."""
    parser = door.ArgumentParser(prog="videogen inspect", description=__doc__)
    parser.add_argument("what", choices=("data",))
    parser.add_argument("directory", metavar="DIR", type=Path)
    parser.add_argument(
        "--patch",
        type=triple,
        default=(1, 2, 2),
        help="of the network: FRAMES,ROWS,COLUMNS",
    )
    parser.add_argument(
        "--checksums",
        action="store_true",
        help="read every byte first, and name the files that are not as they were written",
    )
    parser.add_argument("--out", type=Path, help="the page; default DIR/inspect.html")
    return parser.parse_args(argv)


def triple(text: str) -> tuple[int, int, int]:
    """1,2,2."""
    try:
        f, h, w = map(int, text.split(","))
    except ValueError:
        f = h = w = 0
    if min(f, h, w) < 1:
        raise argparse.ArgumentTypeError(f"{text}: three numbers, as 1,2,2, would work")
    return f, h, w


if __name__ == "__main__":
    sys.exit(main())
