"""A sentencepiece model file, read without that library: its pieces and what they need.

The file is a protocol buffer (sentencepiece_model.proto); the numbers below are its fields.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

PIECES, TRAINER, NORMALIZER = 1, 2, 3
PIECE, SCORE, TYPE = 1, 2, 3
CHARSMAP = 2
BYTE_FALLBACK = 35
NORMAL, UNKNOWN, CONTROL, BYTE = 1, 2, 3, 6
VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5


@dataclass(frozen=True, kw_only=True)
class Pieces:
    """scores: (piece, log probability), by id. controls: pieces that no text holds."""

    scores: list[tuple[str, float]]
    unknown: int
    controls: list[str]
    charsmap: bytes  # of the normaliser, compiled; may be empty
    has_bytes: bool


def read_pieces(data: bytes) -> Pieces:
    """The model's pieces. ValueError for what is not such a file."""
    scores, types, charsmap, has_bytes = [], [], b"", False
    for number, value in _fields(data):
        if number == PIECES:
            fields = dict(_fields(value))
            (score,) = struct.unpack("<f", fields.get(SCORE, bytes(4)))
            scores.append((fields[PIECE].decode(), score))
            types.append(fields.get(TYPE, NORMAL))
        elif number == NORMALIZER:
            charsmap = dict(_fields(value)).get(CHARSMAP, b"")
        elif number == TRAINER:
            has_bytes = bool(dict(_fields(value)).get(BYTE_FALLBACK, 0))
    if UNKNOWN not in types:
        raise ValueError("it has no piece for unknown words")
    special = [i for i, kind in enumerate(types) if kind in (CONTROL, UNKNOWN)]
    return Pieces(
        scores=scores,
        unknown=types.index(UNKNOWN),
        controls=[scores[i][0] for i in special],
        charsmap=charsmap,
        has_bytes=has_bytes,
    )


def _fields(data: bytes) -> Iterator[tuple[int, Any]]:
    """(number, value) of a message; a value is a whole number or bytes."""
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        number, wire = tag >> 3, tag & 7
        if wire == VARINT:
            value, at = _varint(data, at)
        else:
            size = {FIXED64: 8, FIXED32: 4}.get(wire)
            if wire == BYTES:
                size, at = _varint(data, at)
            if size is None or at + size > len(data):
                raise ValueError("it is cut short, or not a sentencepiece model")
            value, at = data[at : at + size], at + size
        yield number, value


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """(number, the place after it)."""
    value = shift = 0
    while True:
        if at >= len(data):
            raise ValueError("it is cut short, or not a sentencepiece model")
        byte, at = data[at], at + 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
