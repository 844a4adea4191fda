"""Files of torch.save, without PyTorch and without running what they say.

Such a file is a zip: a pickle of the objects, and the bytes of each storage beside it. A pickle
is a program. Ours may name what rebuilds a tensor, the kinds of storages and plain containers;
the first other name ends it, before anything of that name is looked up.
"""

import collections
import io
import pickle
import zipfile
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from data_pipelines.exchange.record import (
    DTYPES,
    Places,
    Record,
    Tensor,
    one,
    view,
)
from data_pipelines.quarantine import Reject

_STORAGES = {
    "DoubleStorage": "float64",
    "FloatStorage": "float32",
    "HalfStorage": "float16",
    "BFloat16Storage": "bfloat16",
    **{"LongStorage": "int64", "IntStorage": "int32", "ShortStorage": "int16"},
    **{"CharStorage": "int8", "ByteStorage": "uint8", "BoolStorage": "bool"},
}
_MOST_PICKLE = 64 << 20  # bytes; the numbers are not in it
_MOST_OBJECTS = 100_000
_DEEPEST = 32
ALONE = "latents"  # what a tensor is called that the file holds by itself


def read_pickled(path: str, places: Places = None) -> Iterator[Record]:
    """The file's one record: tensors by their dotted keys, texts and numbers as facts.

    Reject(UNTRUSTED), naming it, for a pickle that asks for more than tensors.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return one(*_contents(_Archive(path, archive)))
    except (zipfile.BadZipFile, NotImplementedError) as error:
        raise Reject(
            "UNREADABLE", f"not a whole zip of torch.save (of 1.6 or later): {error}"
        ) from error


class _Archive:
    """The zip, and the folder in it that all is in."""

    def __init__(self, path: str, archive: zipfile.ZipFile):
        self.path, self._zip = path, archive
        found = [x for x in archive.namelist() if x.endswith("/data.pkl")]
        if len(found) != 1:
            raise Reject("UNREADABLE", "a zip, but not of torch.save")
        self._folder = found[0].removesuffix("data.pkl")

    def info(self, name: str) -> zipfile.ZipInfo:
        try:
            info = self._zip.getinfo(self._folder + name)
        except KeyError:
            raise Reject("TRUNCATED", f"{name} is not in it") from None
        if info.compress_type != zipfile.ZIP_STORED:
            raise Reject("UNREADABLE", f"{name} is compressed: torch.save does not")
        return info

    def read(self, name: str, most: int) -> bytes:
        info = self.info(name)
        if info.file_size > most:
            raise Reject("TOO_LARGE", f"{name} has {info.file_size} bytes")
        return self._zip.read(info)

    def has(self, name: str) -> bool:
        return self._folder + name in self._zip.NameToInfo


def _contents(archive: _Archive) -> tuple[dict[str, Tensor], dict[str, Any]]:
    if archive.has("byteorder") and archive.read("byteorder", 16) != b"little":
        raise Reject("UNREADABLE", "saved on a big-endian machine")
    try:
        content = _Unpickler(archive).load()
    except Reject:
        raise
    except Exception as error:  # a damaged or hostile pickle fails in any way
        raise Reject("UNREADABLE", f"its pickle is damaged: {error}") from error
    found: dict[str, Any] = {}
    for count, (name, value) in enumerate(_objects(content, "", 0)):
        if count > _MOST_OBJECTS:
            raise Reject("TOO_LARGE", f"more than {_MOST_OBJECTS} objects")
        found[name or ALONE] = value
    tensors = {name: x for name, x in found.items() if isinstance(x, Tensor)}
    facts = {name: x for name, x in found.items() if isinstance(x, str | int | float)}
    return tensors, facts


def _objects(value: Any, name: str, depth: int) -> Iterator[tuple[str, Any]]:
    """("a.b.0", what is there), of containers too: so that empty ones are counted."""
    if depth > _DEEPEST:
        raise Reject("TOO_LARGE", f"too deep at {name[:80]}")
    yield name, value
    items: Iterable[tuple[Any, Any]] = ()
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, list | tuple):
        items = enumerate(value)
    for key, item in items:
        yield from _objects(item, f"{name}.{key!s:.80}".lstrip("."), depth + 1)


class _Storage:
    """A kind of storage, by name alone."""

    __slots__ = ("dtype",)

    def __init__(self, dtype: str):
        self.dtype = dtype


class _Unpickler(pickle.Unpickler):
    """Knows the names below and no other."""

    def __init__(self, archive: _Archive):
        super().__init__(io.BytesIO(archive.read("data.pkl", _MOST_PICKLE)))
        self._archive = archive

    def find_class(self, module: str, name: str) -> Any:
        if module == "torch" and name in _STORAGES:
            return _Storage(_STORAGES[name])
        known = {
            ("torch._utils", "_rebuild_tensor_v2"): _Rebuild(),
            ("torch", "Size"): tuple,
            ("collections", "OrderedDict"): collections.OrderedDict,
        }
        if (module, name) not in known:
            raise Reject(
                "UNTRUSTED",
                f"its pickle asks for {module}.{name}, which is no tensor and was not "
                "run: save tensors, texts and numbers alone",
            )
        return known[module, name]

    def persistent_load(self, pid: Any) -> Any:
        """(dtype, the storage's file, numbers in it)."""
        kind, storage, key, _, count = pid
        if kind != "storage" or not isinstance(storage, _Storage):
            raise Reject("UNREADABLE", f"no storage: {kind!r:.80}")
        return storage.dtype, self._archive, f"data/{key}", int(count)


class _Rebuild:
    """torch._utils._rebuild_tensor_v2, of our tensors."""

    __slots__ = ()

    def __call__(self, storage: Any, offset: int, shape: Any, strides: Any, *_: Any):
        dtype, archive, name, count = storage
        shape, strides = tuple(map(int, shape)), tuple(map(int, strides))
        if len(shape) != len(strides) or min((offset, *shape, *strides)) < 0:
            raise Reject("BAD_TENSOR", f"shape {shape} of strides {strides}")
        pairs = list(zip(shape, strides, strict=True))
        last = offset + sum((size - 1) * stride for size, stride in pairs)
        if 0 not in shape and last >= count:
            raise Reject("BAD_TENSOR", f"{shape} reaches past its storage of {count}")
        return _tensor(dtype, archive, name, count, offset, shape, strides)


def _tensor(dtype, archive, name, count, offset, shape, strides) -> Tensor:
    info, path = archive.info(name), archive.path

    def load() -> np.ndarray:
        try:
            with zipfile.ZipFile(path) as reopened:
                data = reopened.read(info)
        except zipfile.BadZipFile as error:
            raise Reject("DAMAGED", f"{name}: {error}") from error
        storage = view(data, dtype, (count,))
        size = DTYPES[dtype].itemsize
        return np.lib.stride_tricks.as_strided(
            storage[offset:], shape, [size * stride for stride in strides]
        )

    return Tensor(shape=shape, load=load)
