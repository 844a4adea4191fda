"""Files of torch.save without PyTorch: a zip of one pickle, and of the bytes of its tensors.

The pickle is read by a reader that knows how tensors are put together and nothing else:
whatever else a file asks to import or to call is refused, so that reading one runs no
code of its author's.
"""

import collections
import dataclasses
import io
import math
import os
import pickle
import zipfile
from collections.abc import Sequence
from typing import Any

import ml_dtypes
import numpy as np

from videogen.core.errors import DataError

MOST_PICKLE = 64 << 20  # bytes; names and shapes of even the largest models need fewer
STORAGES = {
    "DoubleStorage": np.float64,
    "FloatStorage": np.float32,
    "HalfStorage": np.float16,
    "BFloat16Storage": ml_dtypes.bfloat16,
    "LongStorage": np.int64,
    "IntStorage": np.int32,
    "ShortStorage": np.int16,
    "CharStorage": np.int8,
    "ByteStorage": np.uint8,
    "BoolStorage": np.bool_,
}


def read_torch_zip(path: str | os.PathLike[str]) -> Any:
    """What was saved, often nested dicts, with read-only numpy arrays in place of tensors.

    DataError for a file that is damaged, not of torch.save (1.6 or later), or that holds
    more than tensors, containers, texts and numbers.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return _read(archive)
    except (
        *(OSError, zipfile.BadZipFile, pickle.UnpicklingError, EOFError, RuntimeError),
        *(AttributeError, LookupError, TypeError, ValueError, OverflowError),
    ) as error:
        reason = getattr(error, "strerror", None) or error
        raise DataError(
            f"{os.fspath(path)}: no file of torch.save that holds tensors alone: {reason}"
        ) from error


def _read(archive: zipfile.ZipFile) -> Any:
    names = [name for name in archive.namelist() if name.endswith("/data.pkl")]
    if len(names) != 1:
        raise ValueError(f"{len(names)} data.pkl in it")
    folder = names[0].removesuffix("data.pkl")
    order = f"{folder}byteorder"
    if order in archive.namelist() and _member(archive, order, 16) != b"little":
        raise ValueError("its bytes are not in little-endian order")
    return _Reader(archive, folder).load()


def _member(archive: zipfile.ZipFile, name: str, most: int) -> bytes:
    """The bytes of a member of at most so many: torch.save compresses nothing."""
    info = archive.getinfo(name)
    if info.compress_type != zipfile.ZIP_STORED or info.file_size > most:
        raise ValueError(f"{name} is compressed, or of {info.file_size} bytes")
    return archive.read(info)


@dataclasses.dataclass(frozen=True)
class _StorageType:
    dtype: Any


class _Reader(pickle.Unpickler):
    def __init__(self, archive: zipfile.ZipFile, folder: str):
        pickled = _member(archive, f"{folder}data.pkl", MOST_PICKLE)
        super().__init__(io.BytesIO(pickled))
        self._archive, self._folder = archive, folder
        self._storages: dict[str, np.ndarray] = {}

    def find_class(self, module_name: str, global_name: str, /) -> Any:
        """What the pickle may name: all of it is here."""
        name = f"{module_name}.{global_name}"
        if name == "collections.OrderedDict":
            return collections.OrderedDict
        if name == "torch._utils._rebuild_tensor_v2":
            return _tensor
        if name == "torch._utils._rebuild_parameter":
            return _parameter
        if module_name == "torch" and global_name in STORAGES:
            return _StorageType(STORAGES[global_name])
        raise pickle.UnpicklingError(f"it names {name}, which is refused")

    def persistent_load(self, pid: Any) -> np.ndarray:
        """The numbers of a storage, which several tensors may share."""
        kind, storage, key, _, count = pid
        if kind != "storage" or not isinstance(storage, _StorageType):
            raise pickle.UnpicklingError(f"a reference to {kind!r}")
        if key not in self._storages:
            size = count * np.dtype(storage.dtype).itemsize
            content = _member(self._archive, f"{self._folder}data/{key}", size)
            self._storages[key] = np.frombuffer(content, storage.dtype, count)
        return self._storages[key]


def _tensor(
    storage: np.ndarray, offset: int, shape: Sequence[int], stride: Sequence[int], *_
) -> np.ndarray:
    """A view of a storage. Raises ValueError when it reaches beyond its end."""
    numbers = (offset, *shape, *stride)
    if len(shape) != len(stride) or any(number < 0 for number in numbers):
        raise ValueError(f"a tensor of shape {shape}, stride {stride}")
    steps = ((size - 1) * step for size, step in zip(shape, stride, strict=True))
    end = offset + sum(steps) + 1 if math.prod(shape) else offset
    if end > len(storage):
        raise ValueError(f"a tensor that needs {end} numbers of {len(storage)}")
    width = storage.itemsize
    return np.lib.stride_tricks.as_strided(
        storage[offset:], shape, [step * width for step in stride], writeable=False
    )


def _parameter(tensor: np.ndarray, *_) -> np.ndarray:
    return tensor
