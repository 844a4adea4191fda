"""Reads the protobuf wire format in place: a latent of megabytes is seen, not copied.

Protobuf's own parser copies each field twice, which for a latent is more work than reading
it from the file.
"""

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


def without_large(
    data: memoryview, number: int, most: int
) -> tuple[bytes, list[memoryview]]:
    """(the message without them, the messages of `number` of more than `most` bytes)."""
    found, kept, at, tag = [], [], 0, number << 3 | BYTES
    start, end = 0, len(data)
    # Another field ends the search, not the reading.
    while at < end and data[at] == tag:
        if at + 1 < end and (size := data[at + 1]) < 128:  # most, and no call
            content = at + 2
        else:
            size, content = varint(data, at + 1)
        if size > most:
            kept.append(data[start:at])
            start = content + size
            if start > end:
                raise ValueError("a field is cut")
            found.append(data[content:start])
        at = content + size
    return b"".join((*kept, data[start:])), found
