"""A text network on this process's own devices, rows in chunks, so that it compiles once."""

import math
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from videogen.core.types import Params
from videogen.nn.fence import Network
from videogen.parallel.mesh import MeshConfig, make_mesh


class Runner:
    """network(*arrays) on numpy arrays with a leading dim of rows, under the given mesh.

    The mesh is the encoder's own: one that the caller has set cuts nothing here.

    Args:
      params: on the devices of the mesh.
      rows: of a call; fewer are padded.
    """

    def __init__(self, network: Network, params: Params, mesh: Mesh, rows: int):
        self._apply = jax.jit(network.apply)
        self._params, self._mesh, self._rows = params, mesh, rows

    def __call__(self, *arrays: np.ndarray, shape: Sequence[int]) -> np.ndarray:
        """float32 (rows, *shape). shape: of the output's rows."""
        out = np.empty((len(arrays[0]), *shape), np.float32)
        for start in range(0, len(out), self._rows):
            here = slice(start, start + self._rows)
            missing = max(0, here.stop - len(out))
            chunk = [_pad_rows(x[here], missing) for x in arrays]
            with jax.set_mesh(self._mesh), jax.default_matmul_precision("float32"):
                made = np.asarray(self._apply(self._params, *chunk))
            out[here] = made[: self._rows - missing]
        return out


def local_mesh(*, dividing: int = 1) -> Mesh:
    """As many of this process's devices, all of axis fsdp, as divide `dividing`."""
    devices: list[Any] = jax.local_devices()
    devices = devices[: math.gcd(len(devices), dividing)]
    return make_mesh(MeshConfig(fsdp=-1), devices)


def _pad_rows(x: np.ndarray, missing: int) -> np.ndarray:
    return np.pad(x, ((0, missing), *[(0, 0)] * (x.ndim - 1)))
