"""Safetensors files as records, tensors read by their offsets: no map of the whole file.

The format: 8 bytes of length, that much JSON {name: {dtype, shape, data_offsets}}, the data.
"""

import json
import os
from collections.abc import Iterator
from typing import Any

import numpy as np

from data_pipelines.exchange.record import Places, Record, Tensor, one, view
from data_pipelines.quarantine import Reject

_DTYPES = {
    **{"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16"},
    **{"I64": "int64", "I32": "int32", "I16": "int16", "I8": "int8"},
    **{"U8": "uint8", "BOOL": "bool"},
}
_MOST_HEADER = 100_000_000  # bytes, as the format's own readers allow


def read_safetensors(path: str, places: Places = None) -> Iterator[Record]:
    """The file's one record. Reject for what is no such file, or cut."""
    header, start = _header(path)
    entries = {name: x for name, x in header.items() if name != "__metadata__"}
    size = os.path.getsize(path)
    try:
        tensors = {name: _tensor(path, x, start, size) for name, x in entries.items()}
    except (KeyError, TypeError, ValueError) as error:
        raise Reject(
            "UNREADABLE", f"its header is not safetensors': {error}"
        ) from error
    return one(tensors, header.get("__metadata__") or {})


def _header(path: str) -> tuple[dict[str, Any], int]:
    """The JSON, and where the data starts."""
    with open(path, "rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if not 0 < length <= _MOST_HEADER:
            raise Reject("UNREADABLE", "it does not start as safetensors do")
        text = file.read(length)
    if len(text) < length:
        raise Reject("TRUNCATED", "it ends in its header")
    try:
        header = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Reject("UNREADABLE", f"its header is no JSON: {error}") from error
    if not isinstance(header, dict):
        raise Reject("UNREADABLE", "its header is no JSON object")
    return header, 8 + length


def _tensor(path: str, entry: dict[str, Any], start: int, size: int) -> Tensor:
    shape = tuple(map(int, entry["shape"]))
    first, last = map(int, entry["data_offsets"])
    if not 0 <= first <= last or min(shape, default=0) < 0:
        raise ValueError(f"offsets {first} to {last} of {shape}")
    if start + last > size:
        raise Reject(
            "TRUNCATED", f"{size} bytes, but its header tells of {start + last}"
        )
    kind = str(entry["dtype"])
    dtype = _DTYPES.get(kind, kind)

    def load() -> np.ndarray:
        with open(path, "rb") as file:
            file.seek(start + first)
            return view(file.read(last - first), dtype, shape)

    return Tensor(shape=shape, load=load)
