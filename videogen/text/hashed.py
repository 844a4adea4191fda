"""A text encoder without weights: every word is a fixed Gaussian vector of its own."""

import hashlib
import re
from collections.abc import Sequence

import numpy as np

from videogen.core.errors import ConfigError

START = ""  # the first token of every text, so that even an empty one has a token


class HashedWords:
    """Same words, same vectors, on any machine. Knows no meaning and no order.

    For tests and machines without the weights of a real encoder; a few fixed captions can
    be learnt from it.
    """

    name = "hash"

    def __init__(self, length: int = 32, dim: int = 384):
        if length < 1:
            raise ConfigError(f"text length={length} must be at least 1")
        self.length = length
        self.dim = dim
        self.fingerprint = hashlib.sha256(f"hash 1 {length} {dim}".encode()).hexdigest()

    def encode(self, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """(text_BLD float32, text_mask_BL bool). Masked positions hold zeros."""
        text_BLD = np.zeros((len(texts), self.length, self.dim), np.float32)
        text_mask_BL = np.zeros(text_BLD.shape[:2], bool)
        for row, text in enumerate(texts):
            words = [START, *re.findall(r"\w+", text.lower())][: self.length]
            text_BLD[row, : len(words)] = [self._vector(word) for word in words]
            text_mask_BL[row, : len(words)] = True
        return text_BLD, text_mask_BL

    def _vector(self, word: str) -> np.ndarray:
        seed = int.from_bytes(hashlib.sha256(word.encode()).digest()[:4], "little")
        # RandomState's stream is frozen for good; default_rng's may change.
        return np.random.RandomState(seed).standard_normal(self.dim)
