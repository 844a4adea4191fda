"""Videos become a dataset, in phases: `python -m data_pipelines <phase> ...`, or `all`.

Each phase is a table that the next ones read, each may be run again at any time, and
one that was killed goes on where it was.
"""

import argparse
import logging
import pathlib
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from data_pipelines import image_flags, text_flags
from data_pipelines.captioning import flags as captioning
from data_pipelines.exchange import export_flags, import_flags
from data_pipelines.flags import PHASES, add_flags, read_fields
from data_pipelines.guard import Limits
from data_pipelines.settings import flag
from videogen.core.errors import ConfigError, DataError, suggest

BAD_INPUT = 43  # the exit code of every door for a bad argument or file
EXTRAS = {
    **{"caption": captioning, "add-text": text_flags},  # of finished datasets
    "add-image": image_flags,
    **{"import": import_flags, "export": export_flags},  # from and to other programs
}
COMMANDS = {
    **{phase: line for phase, (line, _) in PHASES.items()},
    "all": "every phase in order: videos -> dataset",
    **{name: extra.LINE for name, extra in EXTRAS.items()},
}
EPILOG = """Arguments after -- go to Apache Beam, e.g.
  python -m data_pipelines all --videos clips --out data/clips \\
      -- --direct_num_workers=8 --direct_running_mode=multi_processing
--out, --tables and the dataset must be on a file system that all workers share."""


class Parser(argparse.ArgumentParser):
    """Reports a wrong flag as every other bad argument: one line."""

    def error(self, message: str) -> NoReturn:
        raise ConfigError(message)


def main(argv: Sequence[str]) -> int:
    """The exit code: 0, or 43 for a bad argument or file, told in one line."""
    arguments, beam_arguments = split_arguments(argv)
    try:
        parsed = parse(arguments)
        extra = EXTRAS.get(parsed.command)
        work = extra.run if extra else run
        work(parsed, beam_arguments)
    except (ConfigError, DataError) as error:
        print(f"error: {error}", file=sys.stderr)
        return BAD_INPUT
    return 0


def run(arguments: argparse.Namespace, beam_arguments: Sequence[str]) -> None:
    """Runs the command and prints the funnel."""
    command = arguments.command
    wanted = PHASES if command == "all" else [command]
    settings = {phase: read_fields(arguments, PHASES[phase][1]) for phase in wanted}
    if command == "all" and not arguments.captioner:
        del settings["caption-clips"]
    limits = read_fields(arguments, Limits)
    # Beam takes seconds to import: a wrong flag is told before.
    logging.basicConfig(level=logging.ERROR)
    from data_pipelines.phases import Run
    from data_pipelines.stages import Runner
    from data_pipelines.tables import Tables
    from data_pipelines.target import TABLES
    from data_pipelines.units import Engine

    out = pathlib.Path(arguments.out).resolve() if "out" in arguments else None
    tables = arguments.tables or pathlib.Path(arguments.out, TABLES)
    runner = Runner(name=arguments.runner, arguments=tuple(beam_arguments))
    engine = Engine(runner=runner, limits=limits, max_failures=arguments.max_failures)
    work = Run(
        tables=Tables(tables), out=out, engine=engine, overwrite=arguments.overwrite
    )
    if command == "all":
        report(work, arguments.out, *work.all(settings))
    elif command == "finalise":
        report(work, arguments.out, *work.finalise())
    else:
        work.phase(command, settings[command])
        print(work.funnel())


def report(work: Any, out: str, info: Any, there: bool) -> None:
    """The funnel, and what is in the dataset now."""
    print(work.funnel())
    counts = info.counts
    splits = f"{counts['train']} to train on, {counts['validation']} to validate on"
    done = "already encoded" if there else "encoded"
    print(f"{done}: {counts['clips']} clips in {out}: {splits}")


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Our flags. Raises ConfigError, with the nearest flag when one is misspelt."""
    parser = Parser(
        prog="python -m data_pipelines", description=__doc__, allow_abbrev=False
    )
    commands = parser.add_subparsers(dest="command", required=True)
    for name, line in COMMANDS.items():
        command = commands.add_parser(
            name,
            help=line,
            description=line,
            epilog=None if name in ("caption", "export") else EPILOG,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        if name in EXTRAS:
            EXTRAS[name].add_flags(command)
        else:
            add_flags(command, name)
    parsed, unknown = parser.parse_known_args(arguments)
    if unknown:
        given = unknown[0].split("=")[0]
        places = {"command", "dataset", "source", "destination"}  # these are not flags
        names = vars(parsed).keys() - places
        known = (flag(name) for name in sorted(names))
        raise ConfigError(f"unknown argument {given}{suggest(given, known)}")
    missing = [name for name, value in vars(parsed).items() if value is None]
    if missing:
        raise ConfigError(f"{flag(missing[0])} is required")
    return parsed


def split_arguments(argv: Sequence[str]) -> tuple[list[str], list[str]]:
    """(ours, Beam's): what stands before and after the first `--`."""
    argv = list(argv)
    at = argv.index("--") if "--" in argv else len(argv)
    return argv[:at], argv[at + 1 :]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
