"""Folders of safetensors, read and written a tensor at a time: never a model in memory.

Our own exchange format is such a folder with `config.json` beside it: a tensor for every
path, and for every layer of a stack, named `path[layer]`, in the dtype it came with.
"""

import json
import shutil
import zlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
from safetensors.numpy import save_file

from videogen.core.errors import DataError
from videogen.models.weights import Shape

FORMAT = 1
SHARD_BYTES = 2**30
CONFIG = "config.json"
PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt")


class Tensors(Mapping[str, np.ndarray]):
    """The tensors of one .safetensors file, or of all in a folder; each read when asked for.

    DataError for a damaged file, a key in two files, or none at all.
    """

    def __init__(self, source: Path):
        self._files: dict[str, Path] = {}
        self._shapes: dict[str, Shape] = {}
        for path in _files(source):
            for key, shape in _shapes(path).items():
                if key in self._files:
                    raise DataError(f"{source}: {key} stands in two files")
                self._files[key], self._shapes[key] = path, shape

    def __getitem__(self, key: str) -> np.ndarray:
        # Opened anew: an open file stays mapped, and what was read of it in memory.
        with safetensors.safe_open(self._files[key], framework="numpy") as file:
            return file.get_tensor(key)

    def __iter__(self) -> Iterator[str]:
        return iter(self._files)

    def __len__(self) -> int:
        return len(self._files)

    def shapes(self) -> dict[str, Shape]:
        """Of every key; reads no tensor."""
        return dict(self._shapes)


class Layers(Mapping[str, np.ndarray]):
    """Whole parameters, also by `path[layer]`."""

    def __init__(self, params: Mapping[str, np.ndarray]):
        self._params = params

    def __getitem__(self, key: str) -> np.ndarray:
        path, _, layer = key.removesuffix("]").partition("[")
        return self._params[path][int(layer)] if layer else self._params[path]

    def __iter__(self) -> Iterator[str]:
        return iter(self._params)

    def __len__(self) -> int:
        return len(self._params)


def _shapes(path: Path) -> dict[str, Shape]:
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            return {k: tuple(file.get_slice(k).get_shape()) for k in file.keys()}
    except Exception as error:
        raise DataError(
            f"{path} is damaged or not safetensors ({error}); fetch it again"
        ) from error


def _files(source: Path) -> list[Path]:
    if source.is_file():
        return [source]
    found = sorted(source.glob("*.safetensors"))
    if found:
        return found
    if not source.is_dir():
        raise DataError(
            f"{source} does not exist: a folder of .safetensors, or one file"
        )
    pickled = [path.name for pattern in PICKLES for path in source.glob(pattern)]
    why = f" ({pickled[0]} is a pickle, which is never read)" if pickled else ""
    raise DataError(f"{source} holds no .safetensors file{why}")


def read_config(folder: Path) -> dict[str, Any]:
    """What `config.json` says of the tensors. DataError unless it is of our own format."""
    try:
        config = json.loads((folder / CONFIG).read_text())
    except (OSError, ValueError) as error:
        raise DataError(f"{folder}/{CONFIG} cannot be read ({error})") from error
    if config.get("format") != FORMAT:
        raise DataError(
            f"{folder}/{CONFIG} is not of the exchange format {FORMAT}: "
            "`videogen convert --from` makes that"
        )
    return config


def write_folder(
    destination: Path,
    tensors: Iterable[tuple[str, np.ndarray]],
    *,
    stem: str,
    config: Mapping[str, Any] | None,
    checksum: bool = False,
    shard_bytes: int = SHARD_BYTES,
) -> int:
    """Writes shards of about `shard_bytes`, their index and config.json; bytes of tensors.

    config: None writes no config.json.
    checksum: config.json tells the crc32 of all tensors, in order.

    The folder appears under its name only when it is whole. DataError when it exists, or
    cannot be written.
    """
    if destination.exists():
        raise DataError(f"{destination} exists; remove it, or name another folder")
    partial = destination.with_name(destination.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        partial.mkdir(parents=True)
        size, crc = _write_shards(partial, tensors, stem, shard_bytes)
        if config is not None:
            config = {**config, "crc32": crc} if checksum else config
            (partial / CONFIG).write_text(json.dumps(config, indent=2) + "\n")
        partial.rename(destination)
    except (OSError, safetensors.SafetensorError) as error:
        shutil.rmtree(partial, ignore_errors=True)
        raise DataError(f"{destination} cannot be written ({error})") from error
    return size


def _write_shards(
    folder: Path, tensors: Iterable[tuple[str, np.ndarray]], stem: str, most: int
) -> tuple[int, int]:
    shards: list[list[str]] = []
    held: dict[str, np.ndarray] = {}
    total = crc = 0
    for key, value in tensors:
        if held and sum(x.nbytes for x in held.values()) + value.nbytes > most:
            shards.append(_write_shard(folder, len(shards), held))
        held[key] = np.ascontiguousarray(value)
        total += value.nbytes
        crc = zlib.crc32(held[key].reshape(-1).view(np.uint8).data, crc)
    shards.append(_write_shard(folder, len(shards), held))
    _name_shards(folder, stem, shards, total)
    return total, crc


def _write_shard(folder: Path, number: int, held: dict[str, np.ndarray]) -> list[str]:
    save_file(held, folder / f"{number}.part", metadata={"format": "pt"})
    keys = list(held)
    held.clear()
    return keys


def _name_shards(folder: Path, stem: str, shards: list[list[str]], total: int) -> None:
    """One file: `stem`.safetensors. Several: numbered, with an index, as everywhere."""
    if len(shards) == 1:
        (folder / "0.part").rename(folder / f"{stem}.safetensors")
        return
    where = {}
    for number, keys in enumerate(shards):
        name = f"{stem}-{number + 1:05}-of-{len(shards):05}.safetensors"
        (folder / f"{number}.part").rename(folder / name)
        where |= dict.fromkeys(keys, name)
    index = {"metadata": {"total_size": total}, "weight_map": where}
    path = folder / f"{stem}.safetensors.index.json"
    path.write_text(json.dumps(index, indent=2) + "\n")
