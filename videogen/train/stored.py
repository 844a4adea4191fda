"""Weights to start from, wherever they are stored: shapes first, arrays when asked for.

`open_stored` is the one place that tells one kind of storage from another.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import jax
import numpy as np
from etils import epath
from jax.sharding import SingleDeviceSharding
from orbax.checkpoint import v1 as ocp

from videogen.core.errors import DataError
from videogen.core.types import Array
from videogen.models.exchange import Tensors, read_config
from videogen.train.checkpoint import unreadable

Shape = tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Stored:
    """Parameters by dotted path.

    id: tells these weights from others of the same place.
    model: the fields of the network's config, as far as they are known.
    load: {path: ShapeDtypeStruct of the stored shape, with a sharding} -> the arrays.
    """

    path: Path
    id: str
    shapes: Mapping[str, Shape]
    model: Mapping[str, Any]
    load: Callable[[Mapping[str, jax.ShapeDtypeStruct]], dict[str, Array]]


def open_stored(path: Path, id: str = "", *, field: str = "") -> Stored:
    """The weights of a workdir, its `checkpoints` directory or one step directory; or of a
    folder that `videogen convert --from` wrote.

    id: of the weights wanted; "": the newest. DataError when they are not there, naming the
        `field` that gave the path.
    """
    is_folder = any(path.glob("*.safetensors"))
    found = [path] if is_folder else _step_directories(path, field)
    open_one = _open_folder if is_folder else _open_checkpoint
    if not id:
        return open_one(found[0])
    for directory in found:
        stored = open_one(directory)
        if stored.id == id:
            return stored
    raise DataError(
        f"{field and field + '='}{path} no longer holds the checkpoint that these adapters "
        f"were trained on ({id.partition(' ')[0]}); bring it back, or give a new --workdir"
    )


class Arrays(Mapping[str, np.ndarray]):
    """Stored parameters on the host, of which it holds the one asked for last."""

    def __init__(self, stored: Stored):
        self._stored = stored
        self._last: tuple[str, np.ndarray] | None = None

    def __getitem__(self, path: str) -> np.ndarray:
        if self._last is None or self._last[0] != path:
            self._last = None
            here = SingleDeviceSharding(jax.local_devices(backend="cpu")[0])
            shape = self._stored.shapes[path]
            wanted = jax.ShapeDtypeStruct(shape, np.float32, sharding=here)
            self._last = path, np.asarray(self._stored.load({path: wanted})[path])
        return self._last[1]

    def __iter__(self) -> Iterator[str]:
        return iter(self._stored.shapes)

    def __len__(self) -> int:
        return len(self._stored.shapes)


def _open_folder(path: Path) -> Stored:
    """Our exchange folder; a device reads the layers and the part of them that it holds."""
    tensors, config = Tensors(path), read_config(path)
    shapes: dict[str, Shape] = {}
    for key, shape in tensors.shapes().items():
        name, _, layer = key.removesuffix("]").partition("[")
        layers = max(int(layer) + 1, shapes.get(name, (0,))[0]) if layer else None
        shapes[name] = shape if layers is None else (layers, *shape)

    def part(name: str, dtype: Any, index: Any) -> np.ndarray:
        if name in tensors:
            return tensors[name][index].astype(dtype)
        layers = range(*index[0].indices(shapes[name][0]))
        return np.stack(
            [tensors[f"{name}[{i}]"][index[1:]].astype(dtype) for i in layers]
        )

    def load(wanted: Mapping[str, jax.ShapeDtypeStruct]) -> dict[str, Array]:
        return {
            name: jax.make_array_from_callback(
                leaf.shape, leaf.sharding, partial(part, name, leaf.dtype)
            )
            for name, leaf in wanted.items()
        }

    return Stored(
        path=path,
        id=f"{config['model']} {config['crc32']}",
        shapes=shapes,
        model=config["config"],
        load=load,
    )


def _open_checkpoint(directory: Path) -> Stored:
    """The averaged weights of a checkpoint of ours."""
    try:
        stored = ocp.metadata(epath.Path(directory))
        tree: Any = stored.metadata
        facts: Any = stored.custom_metadata or {}
        home = {path: name for name in ("frozen", "ema") for path in tree.get(name, {})}
        shapes = {path: tuple(tree[home[path]][path].shape) for path in home}
    except Exception as error:
        raise unreadable(directory, error) from error

    def load(wanted: Mapping[str, jax.ShapeDtypeStruct]) -> dict[str, Array]:
        asked = jax.tree.map(lambda _: ocp.PLACEHOLDER, tree)
        for path, leaf in wanted.items():
            asked[home[path]][path] = leaf
        loaded = ocp.load(epath.Path(directory), asked)
        return {path: loaded[home[path]][path] for path in wanted}

    return Stored(
        path=directory,
        id=f"{directory.name} {stored.init_timestamp_nsecs}",
        shapes=shapes,
        model=facts.get("config", {}).get("model", {}),
        load=load,
    )


def _step_directories(path: Path, field: str) -> list[Path]:
    """Newest first."""
    for candidate in (path / "checkpoints", path):
        steps = [d for d in candidate.glob("*") if d.name.isdigit() and d.is_dir()]
        if steps:
            return sorted(steps, key=lambda d: -int(d.name))
    if (path / "_CHECKPOINT_METADATA").exists():
        return [path]
    raise DataError(
        f"{field and field + '='}{path}: no checkpoint there (a workdir, its checkpoints "
        "directory, one step directory or what `videogen convert --from` wrote would work)"
    )
