"""Shots by the network, on whatever device JAX has here."""

import functools
import pathlib
from collections.abc import Iterable

import jax
import numpy as np

from data_pipelines.detectors.transnet.network import Tree, network
from data_pipelines.detectors.transnet.weights import load_params
from data_pipelines.detectors.transnet.windows import PAD, STEP, shots_of, windows

_network = jax.jit(network)


class Judge:
    """base.Judge; `path` is of the weights. Raises DataError for others."""

    def __init__(self, path: pathlib.Path, threshold: float):
        self._params, self._threshold = _on_device(path), threshold

    def __call__(self, kept: Iterable[np.ndarray]) -> list[tuple[int, int]]:
        return shots_of(chances(self._params, kept), self._threshold)


def chances(params: Tree, frames: Iterable[np.ndarray]) -> np.ndarray:
    """float32 (T,): how likely the middle of a transition is in each frame of a video."""
    found = [np.zeros(0, np.float32)]
    for window_THWC, count in windows(frames):
        with jax.default_matmul_precision("float32"):
            middle_BT, _ = _network(params, window_THWC[None])
        found.append(np.asarray(jax.nn.sigmoid(middle_BT))[0, PAD : PAD + STEP][:count])
    return np.concatenate(found)


@functools.lru_cache(maxsize=1)
def _on_device(path: pathlib.Path) -> Tree:
    """One copy for all threads of a process."""
    return jax.device_put(load_params(path))
