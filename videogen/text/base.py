"""What every text encoder offers: strings -> token embeddings and a mask."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np


@runtime_checkable
class TextEncoder(Protocol):
    """Token-level text embeddings, of fixed length L and width D."""

    name: str  # the kind, e.g. "minilm"
    length: int  # L, longer texts are cut
    dim: int  # D
    fingerprint: str  # sha256 over weights, vocabulary and length

    def encode(self, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """(text_BLD float32, text_mask_BL bool). Masked positions hold zeros."""
        ...
