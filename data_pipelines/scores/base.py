"""What every score is made of: a measure of a frame, and a summary of a clip's measures."""

import functools
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import av
import numpy as np
from av.video.reformatter import Interpolation, VideoReformatter

GRAY_WIDTH = 256  # at most: what thresholds of scores refer to
RGB_WIDTH = 640  # at most


class Image:
    """A frame, in the sizes that scores ask for, each made at most once."""

    def __init__(
        self,
        frame: av.VideoFrame,
        reformatter: VideoReformatter,
        before: "Image | None" = None,
    ):
        self._frame, self._reformatter = frame, reformatter
        self.before = before  # the frame before; its own `before` is None

    @functools.cached_property
    def gray(self) -> np.ndarray:
        """uint8 (height, width), at most GRAY_WIDTH wide, full range."""
        return self._at_most(GRAY_WIDTH, "gray")

    @functools.cached_property
    def rgb(self) -> np.ndarray:
        """uint8 (height, width, 3), at most RGB_WIDTH wide."""
        return self._at_most(RGB_WIDTH, "rgb24")

    def _at_most(self, width: int, format: str) -> np.ndarray:
        width = min(width, self._frame.width)
        height = max(1, round(self._frame.height * width / self._frame.width))
        return self._reformatter.reformat(
            self._frame,
            width=width,
            height=height,
            format=format,
            interpolation=Interpolation.AREA,
        ).to_ndarray()


class Scorer(Protocol):
    """A score, or a few of the same measure."""

    every_frame: bool  # else of a few frames, evenly spaced over the clip

    def measure(self, image: Image) -> Any:
        """Called once a frame, also when clips share it."""
        ...

    def summary(self, measures: Sequence[Any]) -> Mapping[str, float | str | None]:
        """{column: score} of a clip, from the measures of its frames in order."""
        ...
