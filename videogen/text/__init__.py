"""Text encoders by name: "minilm", or with the folder of the weights, "umt5:/path/of/it"."""

import functools
from collections.abc import Callable
from pathlib import Path

from videogen.core.errors import ConfigError, suggest
from videogen.text.base import TextEncoder
from videogen.text.clip import make_clip
from videogen.text.hashed import HashedWords
from videogen.text.minilm import MiniLM
from videogen.text.t5 import make_t5

ENCODERS: dict[str, Callable[[int], TextEncoder]] = {
    "minilm": MiniLM,
    "hash": HashedWords,
}
# Of the folder and the length. "_bf16" computes in bfloat16, which the largest are made for.
FOLDERS: dict[str, Callable[[Path, int], TextEncoder]] = {
    kind + suffix: functools.partial(make, kind=kind + suffix, dtype=dtype)
    for make, kinds in {
        make_t5: ("t5", "umt5", "byt5"),
        make_clip: ("clip", "clip_pooled", "clip_projected"),
    }.items()
    for kind in kinds
    for suffix, dtype in {"": "float32", "_bf16": "bfloat16"}.items()
}

# The kind that data_pipelines alone can run: any encoder, through PyTorch.
OFFLINE = "hf"


def make_encoder(name: str, length: int) -> TextEncoder:
    """The encoder of that name for texts of `length` tokens.

    ConfigError for an unknown name, ConfigError or DataError for files that cannot be used.
    """
    check_encoder(name)
    kind, _, folder = name.partition(":")
    if kind in ENCODERS:
        return ENCODERS[kind](length)
    return FOLDERS[kind](Path(folder), length)


def check_encoder(name: str) -> None:
    """ConfigError unless the kind is known, and has a folder if it is to have one."""
    kind, _, folder = name.partition(":")
    if kind == OFFLINE:
        raise ConfigError(
            f"text encoder {name!r} encodes datasets and cannot encode prompts; "
            "--config.train.sample_every=0 would work"
        )
    if kind not in ENCODERS | FOLDERS:
        near = suggest(kind, [*ENCODERS, *FOLDERS])
        raise ConfigError(f"text encoder {kind!r} does not exist{near}")
    if kind in FOLDERS and not folder:
        raise ConfigError(
            f"text encoder {kind!r} is read from a folder: '{kind}:/path/of/it' would work"
        )
    if kind in ENCODERS and folder:
        raise ConfigError(f"text encoder {name!r} has no folder: {kind!r} would work")
