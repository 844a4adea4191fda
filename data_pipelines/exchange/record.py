"""What a file of latents holds: records of named tensors, each read when it is asked for."""

import dataclasses
import functools
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any

import ml_dtypes
import numpy as np

from data_pipelines.quarantine import Reject

DTYPES = {
    "float64": np.dtype("<f8"),
    "float32": np.dtype("<f4"),
    "float16": np.dtype("<f2"),
    "bfloat16": np.dtype(ml_dtypes.bfloat16),
    **{name: np.dtype(f"<i{size}") for name, size in (("int64", 8), ("int32", 4))},
    **{name: np.dtype(name) for name in ("int16", "int8", "uint8", "bool")},
}
Places = Collection[int] | None  # numbers of records in a file; None: all


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Tensor:
    """A tensor that is still in its file. `load` may raise Reject."""

    shape: tuple[int, ...]
    load: Callable[[], np.ndarray]

    @functools.cached_property
    def values(self) -> np.ndarray:
        return self.load()


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Record:
    """One file, or one record of a file of many, and what it says besides of its clips."""

    place: int
    tensors: Mapping[str, Tensor]
    facts: Mapping[str, Any] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Fault:
    """A record that cannot be used; those after it can."""

    place: int
    reject: Reject


# A path and the records wanted -> those in order. Raises Reject where the file ends for us.
Reader = Callable[[str, Places], Iterable[Record | Fault]]


def view(data: bytes | memoryview, dtype: str, shape: tuple[int, ...]) -> np.ndarray:
    """The array of these bytes. Reject(BAD_TENSOR) for another size or kind of number."""
    if dtype not in DTYPES:
        raise Reject("BAD_TENSOR", f"a tensor of {dtype}; {', '.join(DTYPES)} are read")
    size = DTYPES[dtype].itemsize * int(np.prod(shape, dtype=object))
    if len(data) != size:
        raise Reject("BAD_TENSOR", f"{len(data)} bytes are no {dtype} of {shape}")
    return np.frombuffer(data, DTYPES[dtype]).reshape(shape)


def named(tensors: Mapping[str, Tensor]) -> str:
    """The names, for errors."""
    names = sorted(tensors)
    return ", ".join(names[:8]) + (", ..." if len(names) > 8 else "") or "nothing"


def wanted(place: int, places: Places) -> bool:
    return places is None or place in places


def one(tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> Iterator[Record]:
    """Of a file that is one record."""
    yield Record(place=0, tensors=tensors, facts=facts)
