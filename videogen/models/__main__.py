"""`videogen models`: what is published, at its flagship shape.

  videogen models            # a table
  videogen models --json     # the same, for scripts
  videogen models wan2_1_t2v_14b   # all that is known of one

Parameters are counted on the network itself, which allocates nothing. Training FLOPs are 3
times those of a forward pass: matrix products, 2 per multiply-add, recomputation not counted.
"""

import json
import sys

from videogen import door
from videogen.core.errors import ConfigError
from videogen.models.summary import details, rows_of, table


def main(argv: list[str] | None = None) -> int:
    """Prints; errors for users print one line."""
    parser = door.ArgumentParser(prog="videogen models", description=__doc__)
    parser.add_argument("name", nargs="?", help="one model")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(argv)
    try:
        rows = rows_of(options.name)
    except ConfigError as error:
        door.fail(str(error))
    if options.json:
        door.say(json.dumps(rows, indent=2))
    else:
        door.say(table(rows) if options.name is None else details(rows[0]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
