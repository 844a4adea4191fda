"""`python -m data_pipelines add-text ...`: its flags and its run."""

import argparse
import logging
from collections.abc import Sequence

from data_pipelines.flags import add_fields, add_runner, read_fields
from data_pipelines.text_settings import TextSettings

LINE = "a finished dataset -> its captions by a further text encoder"


def add_flags(parser: argparse.ArgumentParser) -> None:
    """DATASET, one per further field of TextSettings, and where the work runs."""
    parser.add_argument("dataset", help="directory of the dataset")
    add_fields(parser, TextSettings, but=("dataset",))
    add_runner(parser)


def run(arguments: argparse.Namespace, beam_arguments: Sequence[str]) -> None:
    """Adds a text version to a dataset and prints which it has."""
    settings = read_fields(arguments, TextSettings)
    # Beam takes seconds to import: a wrong flag is told before.
    logging.basicConfig(level=logging.ERROR)
    from data_pipelines.add_text import add_text
    from data_pipelines.stages import Runner

    runner = Runner(name=arguments.runner, arguments=tuple(beam_arguments))
    for version, text in add_text(settings, runner).text.items():
        print(f"{version}: {text.name}, {text.length} x {text.dim}")
