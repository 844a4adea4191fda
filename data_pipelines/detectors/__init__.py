"""Shot detectors, one file each: where a video cuts from one shot to the next."""

import dataclasses
from collections.abc import Callable

from data_pipelines.detectors.base import ShotDetector


@dataclasses.dataclass(frozen=True, kw_only=True)
class Kind:
    """One detector: how it is made from a threshold, and the threshold of its authors."""

    make: Callable[[float], ShotDetector]  # imports what it needs when it is called
    threshold: float


def _content(threshold: float) -> ShotDetector:
    from data_pipelines.detectors.content import ContentDetector

    return ContentDetector(threshold)


DETECTORS: dict[str, Kind] = {"content": Kind(make=_content, threshold=27.0)}
