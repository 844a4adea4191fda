"""`python -m data_pipelines add-image ...`: its flags and its run."""

import argparse
import logging
from collections.abc import Sequence

from data_pipelines.flags import add_fields, add_runner, read_fields
from data_pipelines.guard import Limits
from data_pipelines.image_settings import ImageSettings
from videogen.image import ENCODERS

LINE = "a finished dataset -> tokens of its clips' first frames, by an image encoder"
HELP = {
    "image_encoder": f"KIND:FOLDER, where the folder has config.json and safetensors as "
    f"transformers saves them, and the kind is one of {', '.join(ENCODERS)}",
    "version": "name of the new version; config.data.image_version",
    "videos": "where the videos are now, in a form that ingest takes; they are known by their "
    "bytes. Without it, where they were",
    "tables": "directory of the tables that it was encoded from, if not in the dataset",
}


def add_flags(parser: argparse.ArgumentParser) -> None:
    """DATASET, one per further field of ImageSettings, and where the work runs."""
    parser.add_argument("dataset", help="directory of the dataset")
    add_fields(parser, ImageSettings, but=("dataset",), told=HELP)
    add_fields(parser, Limits)
    add_runner(parser)


def run(arguments: argparse.Namespace, beam_arguments: Sequence[str]) -> None:
    """Adds an image version to a dataset and prints which it has."""
    settings = read_fields(arguments, ImageSettings)
    limits = read_fields(arguments, Limits)
    # Beam takes seconds to import: a wrong flag is told before.
    logging.basicConfig(level=logging.ERROR)
    from data_pipelines.add_image import add_image
    from data_pipelines.stages import Runner

    runner = Runner(name=arguments.runner, arguments=tuple(beam_arguments))
    for version, image in add_image(settings, limits, runner).image.items():
        print(f"{version}: {image.name}, {image.length} x {image.dim}")
