"""Shot detectors, a file or a folder each: where a video cuts from one shot to the next."""

import dataclasses
import math
import pathlib
from collections.abc import Callable

from data_pipelines.detectors.base import Eye, Judge
from videogen.core.errors import ConfigError


def _no_weights(file: str) -> None:
    if file:
        raise ConfigError(f"--detector: content takes no file, not {file}")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Kind:
    """One detector. Its parts import what they need when they are made."""

    eye: Callable[[float], Eye]  # of a threshold
    judge: Callable[[pathlib.Path | None, float], Judge]  # of weights and a threshold
    weights: Callable[[str], pathlib.Path | None] = _no_weights  # "" is its own file
    threshold: float  # of its authors
    most: float = math.inf  # a threshold that nothing passes


def _content_eye(threshold: float) -> Eye:
    from data_pipelines.detectors.content import Jumps

    return Jumps(threshold)


def _content_judge(weights: pathlib.Path | None, threshold: float) -> Judge:
    from data_pipelines.detectors.content import shots_between

    return shots_between


def _transnet_eye(threshold: float) -> Eye:
    from data_pipelines.detectors.transnet.eye import SmallFrames

    return SmallFrames()


def _transnet_judge(weights: pathlib.Path | None, threshold: float) -> Judge:
    from data_pipelines.detectors.transnet.judge import Judge

    assert weights
    return Judge(weights, threshold)


def _transnet_weights(file: str) -> pathlib.Path:
    from data_pipelines.detectors.transnet.files import find_weights

    return find_weights(file)


DETECTORS: dict[str, Kind] = {
    "content": Kind(eye=_content_eye, judge=_content_judge, threshold=27.0),
    "transnetv2": Kind(
        eye=_transnet_eye,
        judge=_transnet_judge,
        weights=_transnet_weights,
        threshold=0.5,
        most=1.0,
    ),
}
