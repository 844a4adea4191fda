"""`python -m data_pipelines import SRC DST ...`: its flags and its run."""

import argparse
import logging
import pathlib
from collections.abc import Sequence

from data_pipelines.exchange.formats import FORMATS
from data_pipelines.exchange.import_settings import DEFAULT_LENGTH, ImportSettings
from data_pipelines.flags import add_engine, add_fields, read_fields
from data_pipelines.guard import Limits
from videogen.tokenizers.published import PUBLISHED

LINE = "latents that were encoded elsewhere -> a dataset"
_TEXTS = ", ".join(f"{x.text} of {name}" for name, x in FORMATS.items() if x.text)
HELP = {
    "format": "; ".join(
        f"{name}: {', '.join(x.suffixes)}" for name, x in FORMATS.items()
    )
    + "; files are searched in depth and sorted. Of .pt files nothing is run: the first name "
    "in one that is no tensor's ends it",
    "normalised": "yes: the tensors are (latent - mean) / std, as models are fed (MaxDiffusion "
    "writes those); no: as the autoencoder gives them (FastVideo). Shards hold the latter",
    "vae": f"the autoencoder that made them: {', '.join(PUBLISHED)}; of any other name, say "
    "--strides and --channels too; config.data.tokenizer",
    "strides": "pixels to a latent in time, height, width, as 4,8,8",
    "channels": "of the latents; 0: as published",
    "mean": "of each channel, one number or one a channel; as published",
    "std": "likewise; a scaling_factor is 1 / std. Where nobody says them, and latents are "
    "not normalised, they are measured",
    "tokenizer_from": "a dataset whose tokenizer made them, instead of --vae",
    "fps": "frames per second of clips that do not say it themselves",
    "latents_key": "name of the tensor of a clip, or with one more dim in front, of several; "
    "keys of .pt files in dots, as a.b.0; a star stands for what differs, as *.latents; by "
    f"default {', '.join(f'{x.latents} of {name}' for name, x in FORMATS.items())}",
    "logvar_key": "name of the log variance of the posterior whose mean the latents are; "
    "config.data.sample_posterior",
    "layout": "the dims of a clip's latent in order: CFHW, FCHW, FHWC",
    "text_key": f"name of the embedding of its caption ({_TEXTS}); without one, captions are "
    "embedded by --text-encoder",
    "text_mask_key": "name of its tokens' mask; without one, zeros at the end are padding",
    "text_encoder": "what embeds the captions, or embedded them: of ours, or with --text-key "
    "any name",
    "text_length": f"tokens of a caption; 0: {DEFAULT_LENGTH}, or as many as the longest has "
    "that came along",
    "null_text": "a .safetensors or .pt with the embedding of the empty text, for an encoder "
    "that does not run here; without one it is a token of zeros",
    "image_key": "name of the tokens of its first frame by an image encoder, for networks that "
    "are told of one",
    "image_encoder": "what made them: KIND:FOLDER, as add-image has it, which samples need; or "
    "any name",
    "captions": "a .jsonl, .csv or .parquet of id and caption; else name.txt, or name.json "
    "with any of caption, id, source_id, label, fps, start_s, split, beside a file",
    "caption_key": "what the caption is called in that json, or in the file itself",
    "validation_share": "share of the sources to hold out; a folder called validation, or "
    "train, is that in any case",
    "shard_mib": "mebibytes of latents a file; also the unit of parallel work",
}


def add_flags(parser: argparse.ArgumentParser) -> None:
    """SRC, DST, one per further field of ImportSettings, and where the work runs."""
    parser.add_argument("source", help="folder of the files")
    parser.add_argument("destination", help="directory of the dataset")
    add_fields(parser, ImportSettings, but=("source",), told=HELP)
    parser.add_argument(
        "--overwrite", action="store_true", help="replace what other settings made"
    )
    add_engine(parser, "files")


def run(arguments: argparse.Namespace, beam_arguments: Sequence[str]) -> None:
    """Imports, and prints what the dataset holds."""
    settings = read_fields(arguments, ImportSettings)
    limits = read_fields(arguments, Limits)
    # Beam takes seconds to import: a wrong flag is told before.
    logging.basicConfig(level=logging.ERROR)
    from data_pipelines.exchange.importing import import_latents
    from data_pipelines.stages import Runner
    from data_pipelines.units import Engine

    runner = Runner(name=arguments.runner, arguments=tuple(beam_arguments))
    engine = Engine(runner=runner, limits=limits, max_failures=arguments.max_failures)
    out = pathlib.Path(arguments.destination).resolve()
    info = import_latents(settings, out, engine=engine, overwrite=arguments.overwrite)
    counts, text = info.counts, info.text["v1"]
    print(
        f"{out}: {counts['train']} clips to train on, {counts['validation']} to validate "
        f"on; config.data.tokenizer={info.tokenizer.name}, text_encoder={text.name}"
    )
