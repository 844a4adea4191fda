"""The flags of every command: one for each field of its settings, and where and how."""

import argparse
import dataclasses
from collections.abc import Mapping
from typing import Any

from data_pipelines import settings
from data_pipelines.captioning.clip_settings import ClipCaptionSettings
from data_pipelines.captioning.instructions import INSTRUCTIONS
from data_pipelines.detectors import DETECTORS
from data_pipelines.encode_settings import EncodeSettings
from data_pipelines.guard import Limits
from videogen.text import ENCODERS, FOLDERS, OFFLINE
from videogen.tokenizers import fitted_kinds

# phase: (one line, its settings), in order
PHASES: dict[str, tuple[str, Any]] = {
    "ingest": ("videos -> sources: sound, each once", settings.IngestSettings),
    "shots": ("sources -> clips inside shots", settings.ShotsSettings),
    "score": ("clips -> their scores, in one decode pass", settings.ScoreSettings),
    "dedup": ("clips -> groups of near duplicates", settings.DedupSettings),
    "select": ("conditions on scores -> the clips that stay", settings.SelectSettings),
    "caption-clips": (
        "the clips that stay -> captions, by a model behind an endpoint",
        ClipCaptionSettings,
    ),
    "encode": ("clips -> latents, captions and text", EncodeSettings),
    "finalise": ("manifests, funnel, dataset.json", settings.FinaliseSettings),
}
HELP = {
    "videos": "a folder, searched in depth: name.json or name.txt beside name.mp4 holds its "
    "caption, and so in WebDataset tars; one such tar, or 'shards/*.tar'; a .csv or .parquet "
    "of path (from where the file lies), caption, and if wanted label, start_s, end_s, id; "
    "tfds:/folder/name/1.0.0 or tfds:name/config:1.0.0, a TFDS dataset that is prepared as "
    "array_record, for which TFDS needs TensorFlow once, we do not; or 'quickstart' for three "
    "short clips of an installed package",
    "video_field": "the column of paths in a .csv or .parquet, else path; or the feature of a "
    "TFDS dataset that is a video file, or encoded images in order, else video",
    "caption_field": "the column, feature, or key in a tar's .json that holds captions, else "
    "caption",
    "split": "of a TFDS dataset, else train; a+b for two",
    "data_dir": "where tfds:name is prepared, else TFDS_DATA_DIR or ~/tensorflow_datasets",
    "frames_fps": "frames per second of a TFDS dataset's videos that are stored as images",
    "detector": f"one of {', '.join(DETECTORS)}; transnetv2 is a network, on JAX's device, "
    "and may have the path of its weights, transnetv2:FILE",
    "shot_threshold": "of the detector; 0: its authors'",
    "min_seconds": "of a clip, from its first frame to its last",
    "max_seconds": "of a clip; 49 frames at 24 per second last 2 seconds",
    "stride_seconds": "from the start of a clip to the start of the next; less than "
    "--max-seconds makes clips overlap; 0: the next starts where this one ends",
    "text_area": "also measure the area of text, by OCR (slow; the extra `ocr`)",
    "scorers": "name=module:make or name=path/to/file.py:make, ...: scores of your own",
    "max_distance": "bits, of the 512 of a clip's fingerprint, that near duplicates differ "
    "in; unrelated clips differ in about 240",
    "where": "conditions joined by `and`, on motion, blur, luma, dark, bright, borders, "
    "bits_per_pixel, seconds, fps, height, width and your own scores",
    "captioner": "OpenAI-compatible server of a vision-language model, up to /v1, that "
    "writes the captions; without it they are those that came with the videos",
    "caption_model": "its model",
    "caption_kind": f"of caption: {', '.join(INSTRUCTIONS)}",
    "caption_frames": "frames of a clip that the model sees",
    "caption_send": "the frames as images, or as one video",
    "caption_max_tokens": "of an answer",
    "primary_captions": "model or given: which are v1, where captions came with videos too; "
    "the others are v2",
    "caption_threads": "clips asked about at a time",
    "caption_timeout_s": "seconds to wait for one answer",
    "caption_key_env": "environment variable that holds the endpoint's key",
    "buckets": "frames x height x width of the clips, ...; a clip goes to the one of most "
    "frames, then of the nearest aspect, that it fills; frames are 1 + 4k, and 1 for images",
    "fps": "frame rate of the clips: sources are resampled by their timestamps, slower "
    "ones are set aside",
    "validation_sources": "share of the sources to hold out; 0: the last clip of each",
    "tokenizer": f"one of {', '.join(fitted_kinds())}; fitted on the train clips",
    "channels": "components the tokenizer keeps",
    "tokenizer_from": "a dataset whose tokenizer to take, so that the two can be mixed in "
    "training (data.mix); otherwise one is fitted",
    "text_encoder": f"one of {', '.join(ENCODERS)}; or KIND:FOLDER, where the folder has "
    "config.json, safetensors and the tokenizer as transformers saves them, and the kind "
    f"is one of {', '.join(FOLDERS)}, or {OFFLINE} for any other through transformers",
    "text_length": "tokens per caption; longer ones are cut",
    "version": "name of the new text version, e.g. v1-byt5; config.data.more_text",
    "captions": "version of the captions that are embedded",
    "audio_rate": "samples a second of the clips' sound, mono; 0: without sound",
    "audio_bands": "frequency bands of an audio latent frame, one a hop of as many samples",
    "logvar": "also keep the log variance that the tokenizer says of a clip's latent, for "
    "config.data.sample_posterior; twice the bytes",
    "shard_mib": "mebibytes of latents a file; also the unit of parallel work",
    "timeout_s": "wall time that the work on one video may take",
    "memory_gib": "gibibytes of address space that it may take",
    "retries": "of a video that took too long, too much memory, or crashed",
}


def add_flags(parser: argparse.ArgumentParser, command: str) -> None:
    """The flags of a phase, or those of all."""
    for phase in [command] if command in PHASES else PHASES:
        add_fields(parser, PHASES[phase][1])
    if command in ("encode", "finalise", "all"):
        parser.add_argument("--out", help="directory of the dataset (required)")
        what, default = "directory of the tables (default: tables in --out)", ""
    else:
        what, default = "directory of the tables (required)", None
    parser.add_argument("--tables", default=default, help=what)
    parser.add_argument(
        "--overwrite",
        action="store_true",
        help="replace what other settings made"
        if command == "all"
        else "do it again, or replace what other settings made",
    )
    add_engine(parser, "videos")


def add_engine(parser: argparse.ArgumentParser, items: str) -> None:
    """Where the work runs, and within which limits."""
    add_runner(parser)
    add_fields(parser, Limits)
    parser.add_argument(
        "--max-failures",
        type=float,
        default=0.05,
        help=f"share of {items} that may time out, crash, run out of memory or be out of "
        "reach before the phase fails (default: 0.05)",
    )


def add_runner(parser: argparse.ArgumentParser) -> None:
    """Where the work runs."""
    parser.add_argument(
        "--runner",
        default="FnApiRunner",
        help="Beam runner (default: FnApiRunner, in this process)",
    )


def add_fields(
    parser: argparse.ArgumentParser,
    kind: Any,
    but: tuple[str, ...] = (),
    told: Mapping[str, str] = HELP,
) -> None:
    """A flag for each field of a dataclass `but` some; told: what each is."""
    for field in dataclasses.fields(kind):
        if field.name in but:
            continue
        flag = settings.flag(field.name)
        required = field.default is dataclasses.MISSING
        default = "required" if required else f"default: {_shown(field.default)}"
        # argparse would take a % of a default for its own.
        line = f"{told[field.name]} ({default})".replace("%", "%%")
        if field.type is bool:
            parser.add_argument(flag, action="store_true", help=line)
        else:
            value = None if required else field.default
            parser.add_argument(flag, type=field.type, default=value, help=line)  # type: ignore[arg-type]


def _shown(default: Any) -> str:
    return f"{default:g}" if isinstance(default, float) else str(default) or "none"


def read_fields(arguments: argparse.Namespace, kind: Any) -> Any:
    """The dataclass of the flags that `add_fields` added. Raises ConfigError."""
    names = [field.name for field in dataclasses.fields(kind)]
    return kind(**{name: getattr(arguments, name) for name in names})
