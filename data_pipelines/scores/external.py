"""Scores of your own: aesthetics, watermarks, safety, by a model that you bring.

    --scorers=aesthetic=my_package.models:make_aesthetic,safety=/models/safety.py:make

`make()` is called once a process, without arguments. It returns a function of a few RGB
frames of a clip, uint8 (frames, height, width, 3), that returns a number.
"""

import functools
import importlib
import importlib.util
import pathlib
from collections.abc import Callable, Sequence

import numpy as np

from data_pipelines.scores.base import Image
from videogen.core.errors import ConfigError

Function = Callable[[np.ndarray], float]


class External:
    """A score by a function from elsewhere."""

    every_frame = False

    def __init__(self, name: str, entry: str):
        self._name, self._function = name, load(name, entry)

    def measure(self, image: Image) -> np.ndarray:
        return image.rgb

    def summary(self, measures: Sequence[np.ndarray]) -> dict[str, float]:
        return {self._name: float(self._function(np.stack(measures)))}


@functools.lru_cache
def load(name: str, entry: str) -> Function:
    """The function that `module:make` or `path/to/file.py:make` makes, or ConfigError."""
    place, _, attribute = entry.rpartition(":")
    try:
        return getattr(_module(place), attribute)()
    except Exception as error:  # of code that is not ours
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise ConfigError(f"--scorers={name}={entry}: {reason}") from error


def _module(place: str):
    if not place.endswith(".py"):
        return importlib.import_module(place)
    if not pathlib.Path(place).is_file():
        raise FileNotFoundError(f"no file {place}")
    spec = importlib.util.spec_from_file_location(pathlib.Path(place).stem, place)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
