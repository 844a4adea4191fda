"""What every image encoder offers: images -> token embeddings."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np


@runtime_checkable
class ImageEncoder(Protocol):
    """Token-level image embeddings: of each image L tokens of width D."""

    name: str  # the kind, e.g. "clip"
    length: int  # L
    dim: int  # D
    fingerprint: str  # sha256 over kind, config and weights

    def encode(self, images: Sequence[np.ndarray]) -> np.ndarray:
        """image_BLX float32 of uint8 images (height, width, 3), of any sizes."""
        ...
