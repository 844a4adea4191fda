"""A shot detector is two things: an eye where the video is decoded, a judge where JAX runs.

The process that meets the video's bytes may die of them; it knows no network and no
device. What an eye keeps of a frame is small, and goes through a pipe to the judge.
"""

from collections.abc import Iterable
from typing import Protocol

import av
import numpy as np


class Eye(Protocol):
    """Shown the frames of one video in order: what a judge needs of each."""

    def __call__(self, frame: av.VideoFrame) -> np.ndarray: ...


class Judge(Protocol):
    """Of what an eye kept of all frames of one video, any number of them."""

    def __call__(self, kept: Iterable[np.ndarray]) -> list[tuple[int, int]]:
        """[first, end) frame numbers of each shot in order; frames between two are in none."""
        ...
