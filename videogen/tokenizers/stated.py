"""A tokenizer known by what was said of it: of latents that were made elsewhere.

It has strides, channels and constants, which is all that training asks for, and no weights.
"""

import dataclasses
import hashlib

import numpy as np

from videogen.core.errors import ConfigError
from videogen.core.types import Array

NO_FILE = ""  # what a dataset that has none gives for a tokenizer's file


def stated_fingerprint(name: str, strides: tuple[int, int, int], channels: int) -> str:
    """Of the statement (not of the constants: they change no latent)."""
    said = f"stated 1 {name} {tuple(strides)} {channels}"
    return hashlib.sha256(said.encode()).hexdigest()


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class StatedTokenizer:
    """Implements `tokenizers.base.Tokenizer` as far as that can be."""

    name: str
    strides: tuple[int, int, int]
    channels: int
    mean_C: np.ndarray
    std_C: np.ndarray

    @property
    def fingerprint(self) -> str:
        return stated_fingerprint(self.name, self.strides, self.channels)

    def encode(self, pixels_BTHWC: Array) -> Array:
        """ConfigError: there are no weights."""
        raise self._absent("encode pixels")

    def decode(self, latent_BFHWC: Array) -> Array:
        """ConfigError: there are no weights."""
        raise self._absent("decode its latents")

    def save(self, directory: str) -> str:
        """Nothing: a dataset's own facts say all of it."""
        return NO_FILE

    def _absent(self, what: str) -> ConfigError:
        return ConfigError(
            f"tokenizer {self.name!r} made these latents elsewhere and its weights are not "
            f"here to {what}: training works, with config.train.sample_every=0"
        )
