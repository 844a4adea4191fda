"""Image encoders by name, with the folder of their weights: "clip:/path/of/it"."""

from pathlib import Path

from videogen.core.errors import ConfigError, suggest
from videogen.image.base import ImageEncoder
from videogen.image.vision import KINDS, make_vision

# "_bf16" computes in bfloat16.
DTYPES = {"": "float32", "_bf16": "bfloat16"}
ENCODERS = tuple(kind + suffix for kind in KINDS for suffix in DTYPES)


def make_encoder(name: str) -> ImageEncoder:
    """The encoder of that name.

    ConfigError for an unknown name, ConfigError or DataError for files that cannot be used.
    """
    check_encoder(name)
    kind, _, folder = name.partition(":")
    suffix = "_bf16" if kind.endswith("_bf16") else ""
    return make_vision(Path(folder), kind=kind, dtype=DTYPES[suffix])


def check_encoder(name: str) -> None:
    """ConfigError unless the kind is known, and has a folder."""
    kind, _, folder = name.partition(":")
    if kind not in ENCODERS:
        near = suggest(kind, ENCODERS)
        raise ConfigError(f"image encoder {kind!r} does not exist{near}")
    if not folder:
        raise ConfigError(
            f"image encoder {kind!r} is read from a folder: '{kind}:/path/of/it' would work"
        )
