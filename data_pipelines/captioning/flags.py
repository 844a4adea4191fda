"""`python -m data_pipelines caption DATASET ...`: its flags and its run."""

import argparse
import dataclasses
from collections.abc import Sequence

from data_pipelines import flags
from data_pipelines.captioning.instructions import INSTRUCTIONS
from data_pipelines.captioning.settings import GIVEN, NO_TEXT, CaptionSettings
from data_pipelines.settings import flag
from videogen.core.errors import ConfigError
from videogen.text import ENCODERS

LINE = "a finished dataset -> one more version of its captions and text"
HELP = {
    **flags.HELP,
    "version": "name of the new version, e.g. v2; config.data.text_version, text_mix",
    "endpoint": "OpenAI-compatible server of a vision-language model, up to /v1",
    "model": "its model; of a file, who wrote it",
    "from_file": "captions from a file instead: .jsonl, .csv or .parquet of id, caption",
    "kind": f"of caption: {', '.join(INSTRUCTIONS)}; of a file any word, by default {GIVEN}",
    "videos": "the source videos, in any form that ingest takes, for sharper frames; by "
    "default, and for videos that are gone, frames are decoded from the latents",
    "frames": "frames of a clip that the model sees",
    "send": "the frames as images, or as one video: what the model was trained to see",
    "max_characters": "longer captions are taken for babble",
    "max_failures": "share of clips that may stay without caption; more: nothing changes",
    "max_tokens": "of an answer",
    "threads": "clips asked about at a time",
    "attempts": "per clip, while the server is busy",
    "timeout_s": "seconds to wait for one answer",
    "api_key_env": "environment variable that holds the endpoint's key",
    "text_encoder": f"one of {', '.join(ENCODERS)}; KIND:FOLDER, such as t5:/path/of/it; or "
    f"{NO_TEXT}; default: the dataset's",
    "text_length": "tokens per caption; default: the dataset's",
}


def add_flags(parser: argparse.ArgumentParser) -> None:
    """DATASET, and one flag per field of CaptionSettings."""
    parser.add_argument("dataset", help="directory of the dataset")
    for field in dataclasses.fields(CaptionSettings):
        required = field.default is dataclasses.MISSING
        shown = f" (default: {field.default})" if field.default else ""
        parser.add_argument(
            "--from" if field.name == "from_file" else flag(field.name),
            dest=field.name,
            type=field.type,  # type: ignore[arg-type]  int, float or str
            default=None if required else field.default,
            help=HELP[field.name].replace("%", "%%")
            + (" (required)" if required else shown),
        )


def run(arguments: argparse.Namespace, beam_arguments: Sequence[str]) -> None:
    """Captions the dataset and prints what became of its clips."""
    if beam_arguments:
        raise ConfigError(
            "caption takes no arguments after --: it does not run on Beam"
        )
    names = [field.name for field in dataclasses.fields(CaptionSettings)]
    settings = CaptionSettings(**{name: getattr(arguments, name) for name in names})
    from data_pipelines.captioning.caption import caption  # JAX takes seconds

    caption(arguments.dataset, settings)
