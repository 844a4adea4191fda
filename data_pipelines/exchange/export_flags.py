"""`python -m data_pipelines export SRC DST ...`: its flags and its run."""

import argparse
import pathlib
from collections.abc import Sequence

from data_pipelines.exchange.export_settings import FORMATS, ExportSettings
from data_pipelines.flags import add_fields, read_fields
from videogen.core.errors import ConfigError

LINE = "a finished dataset -> files for other programs"
HELP = {
    "format": f"one of {', '.join(FORMATS)}. FastVideo's rows are float32, which bfloat16 is "
    "exactly; safetensors have a file a clip, in bfloat16, and a .json of its facts",
    "text_version": "of the text that is written, with the captions that it embeds",
}


def add_flags(parser: argparse.ArgumentParser) -> None:
    """SRC, DST and one per further field of ExportSettings."""
    parser.add_argument("source", help="directory of the dataset")
    parser.add_argument("destination", help="a new folder for the files")
    add_fields(parser, ExportSettings, but=("source",), told=HELP)


def run(arguments: argparse.Namespace, beam_arguments: Sequence[str]) -> None:
    """Exports, and prints how many clips."""
    if beam_arguments:
        raise ConfigError("export takes no arguments after --: it does not run on Beam")
    settings = read_fields(arguments, ExportSettings)
    from data_pipelines.exchange.exporting import export

    out = pathlib.Path(arguments.destination).resolve()
    print(f"{export(settings, out)} clips in {out}")
