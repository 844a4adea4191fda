"""The text encoder of a worker, and its embeddings as a dataset keeps them."""

import functools
import pathlib
from collections.abc import Sequence

import numpy as np

from data_pipelines.transformers_text import TransformersText
from videogen.core.errors import DataError
from videogen.text import OFFLINE, check_encoder, make_encoder
from videogen.text.base import TextEncoder

TEXTS = 256  # that go through an encoder at once


@functools.lru_cache(maxsize=1)
def load_text_encoder(name: str, length: int) -> TextEncoder:
    """The encoder of a name; one per process. Raises ConfigError or DataError."""
    kind, _, folder = name.partition(":")
    if kind == OFFLINE:
        return TransformersText(folder, length)
    return make_encoder(name, length)


def check_name(name: str) -> None:
    """ConfigError unless datasets can be encoded by it."""
    if name.partition(":")[0] != OFFLINE:
        check_encoder(name)


def check_files(name: str) -> None:
    """DataError unless the folder of an encoder that has one is there; nothing is loaded."""
    folder = name.partition(":")[2]
    if folder and not (config := pathlib.Path(folder, "config.json")).is_file():
        raise DataError(
            f"--text-encoder={name}: there is no {config}: a folder that transformers saved "
            "would work"
        )


def embed(encoder: TextEncoder, texts: Sequence[str]) -> list[np.ndarray]:
    """text_LD float32 of each text, the valid tokens only: padding is not held for all."""
    embedded = []
    for start in range(0, len(texts), TEXTS):
        text_BLD, mask_BL = encoder.encode(texts[start : start + TEXTS])
        embedded += [
            np.asarray(text_LD)[np.asarray(mask_L)]
            for text_LD, mask_L in zip(text_BLD, mask_BL, strict=True)
        ]
    return embedded
