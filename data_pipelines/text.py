"""The text encoder by name, and what a dataset keeps of it."""

import functools
from collections.abc import Sequence

import numpy as np

from videogen.data.schema import TextInfo
from videogen.text.base import TextEncoder
from videogen.text.hashed import HashedWords
from videogen.text.minilm import MiniLM

TEXT_ENCODERS = {"minilm": MiniLM, "hash": HashedWords}


@functools.lru_cache(maxsize=1)
def load_text_encoder(name: str, length: int) -> TextEncoder:
    """The encoder of a name; one per process. Raises ConfigError or DataError."""
    return TEXT_ENCODERS[name](length=length)


def embed(encoder: TextEncoder, texts: Sequence[str]) -> list[np.ndarray]:
    """text_LD float32 of each text, the valid tokens only."""
    text_BLD, mask_BL = encoder.encode(texts)
    return [
        np.asarray(text_LD)[np.asarray(mask_L)]
        for text_LD, mask_L in zip(text_BLD, mask_BL, strict=True)
    ]


def text_info(encoder: TextEncoder) -> TextInfo:
    return TextInfo(
        name=encoder.name,
        fingerprint=encoder.fingerprint,
        length=encoder.length,
        dim=encoder.dim,
    )
