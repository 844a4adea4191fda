"""TFRecord files as records of serialised tensors, as MaxDiffusion's preprocessing writes them.

A record is framed by its length (8 bytes), that length's masked CRC-32C (4), the data, and
the data's (4). The data is a tf.train.Example whose bytes are of tf.io.serialize_tensor.
"""

import contextlib
import struct
from collections.abc import Iterator
from typing import Any, BinaryIO

from data_pipelines.exchange.crc32c import crc32c, masked
from data_pipelines.exchange.record import Fault, Places, Record, Tensor, wanted
from data_pipelines.exchange.tensor_proto import parse_tensor
from data_pipelines.quarantine import Reject
from videogen.core.errors import DataError
from videogen.data import example

_HEAD, _FOOT = struct.Struct("<QI"), struct.Struct("<I")


def read_tfrecord(path: str, places: Places = None) -> Iterator[Record | Fault]:
    """The records of a file; a damaged one is a Fault. Reject where the file is cut.

    Those that are not wanted are passed over unread.
    """
    with open(path, "rb") as file:
        end = file.seek(0, 2)
        file.seek(0)
        place = 0
        while (size := _length(file, place, end)) is not None:
            if wanted(place, places):
                yield _record(file, place, size)
            else:
                file.seek(size + _FOOT.size, 1)
            place += 1


def _length(file: BinaryIO, place: int, end: int) -> int | None:
    """Of the data of the record that begins here; None at the end of the file."""
    head = file.read(_HEAD.size)
    if not head:
        return None
    if len(head) < _HEAD.size:
        raise Reject("TRUNCATED", f"it ends in record {place}")
    size, crc = _HEAD.unpack(head)
    if masked(crc32c(head[:8])) != crc:
        raise Reject(
            "DAMAGED",
            f"record {place}: its length has another checksum: no TFRecord, "
            "or damaged here",
        )
    if file.tell() + size + _FOOT.size > end:
        raise Reject("TRUNCATED", f"it ends in record {place}")
    return size


def _record(file: BinaryIO, place: int, size: int) -> Record | Fault:
    data = file.read(size)
    (crc,) = _FOOT.unpack(file.read(_FOOT.size))
    if masked(crc32c(data)) != crc:
        reject = Reject("DAMAGED", f"record {place}: its data has another checksum")
        return Fault(place=place, reject=reject)
    try:
        features = example.decode(data)
    except DataError as error:
        reject = Reject("DAMAGED", f"record {place}: {error}")
        return Fault(place=place, reject=reject)
    tensors: dict[str, Tensor] = {}
    facts: dict[str, Any] = {}
    for name, values in features.items():
        if len(values) == 1 and isinstance(values[0], memoryview):
            _sort(name, values[0], tensors, facts)
        elif len(values) == 1:
            facts[name] = values[0]
    return Record(place=place, tensors=tensors, facts=facts)


def _sort(
    name: str, data: memoryview, tensors: dict[str, Tensor], facts: dict[str, Any]
) -> None:
    """Bytes are a tensor's or a text's."""
    try:
        tensors[name] = parse_tensor(data)
    except Reject:
        with contextlib.suppress(UnicodeDecodeError):
            facts[name] = bytes(data).decode()
