"""Reads the protobuf wire format in place: a latent of megabytes is seen, not copied.

Protobuf's own parser copies each field twice, which for a latent is more work than reading
it from the file. Numbers are those of tf.train.Example (example.py):

    Example 1: Features    Features 1: entry {1: name, 2: Feature}
    Feature 1: bytes, 2: floats, 3: ints    of each 1: values, numbers packed or one by one
"""

import struct
from collections.abc import Iterator

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
_NUMBERS = {FIXED64: 8, FIXED32: 4}


def fields(data: memoryview) -> Iterator[tuple[int, int, int | memoryview]]:
    """(number, wire type, value) of each field. ValueError for anything else."""
    at, end = 0, len(data)
    while at < end:
        tag, at = varint(data, at)
        number, kind = tag >> 3, tag & 7
        if kind == VARINT:
            value, at = varint(data, at)
        elif kind == BYTES or kind in _NUMBERS:
            size, at = varint(data, at) if kind == BYTES else (_NUMBERS[kind], at)
            value, at = data[at : at + size], at + size
            if at > end:
                raise ValueError("a field is cut")
        else:
            raise ValueError(f"wire type {kind}")
        yield number, kind, value


def varint(data: memoryview, at: int) -> tuple[int, int]:
    """(value, where it ends) of the number that begins there."""
    if at < len(data) and (byte := data[at]) < 128:  # most, and no loop
        return byte, at + 1
    value = shift = 0
    while shift < 70:
        if at >= len(data):
            raise ValueError("a number is cut")
        byte, at = data[at], at + 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128 and value < 1 << 64:
            return value, at
    raise ValueError("a number of more than 64 bits")


def of_bytes(data: memoryview) -> list[memoryview]:
    """The values of a BytesList."""
    return [value for _, _, value in fields(data) if isinstance(value, memoryview)]


def of_floats(data: memoryview) -> list[float]:
    """The values of a FloatList."""
    found: list[float] = []
    for _, kind, value in fields(data):
        if not isinstance(value, memoryview) or kind == FIXED64 or len(value) % 4:
            raise ValueError("a list of floats of other numbers")
        found += struct.unpack(f"<{len(value) // 4}f", value)
    return found


def of_ints(data: memoryview) -> list[int]:
    """The values of an Int64List, which are stored modulo 2^64."""
    found: list[int] = []
    for _, _, value in fields(data):
        if isinstance(value, int):
            found.append(value)
            continue
        at = 0
        while at < len(value):
            number, at = varint(value, at)
            found.append(number)
    return [number - (number >> 63 << 64) for number in found]
