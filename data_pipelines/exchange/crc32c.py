"""CRC-32C (Castagnoli) of megabytes, in numpy: what TFRecord files are checked by.

A CRC is linear over GF(2). The bytes are cut into lanes that run side by side, a 16-bit word
a step; then neighbours are joined, crc(a b) = shift(crc(a), len(b)) ^ crc(b), where zeros in
front of all change nothing and shifting by zeros is a 32 x 32 matrix, kept as four tables.
"""

import functools

import numpy as np

_POLYNOMIAL = 0x82F63B78  # reflected
_ALL = 0xFFFFFFFF
# Of 16 bits; a step's overhead is shared by as many lanes as there are.
_LANE_WORDS = 256


def crc32c(data: bytes | memoryview) -> int:
    """Of any length, at the speed of a disk."""
    values = np.frombuffer(data, np.uint8)
    if len(values) < 2 * _LANE_WORDS:
        return _of_bytes(values, _ALL) ^ _ALL
    head, rest = values[:4] ^ np.uint8(255), values[4:]  # starts from all ones
    lanes = 1 << (-(-len(values) // (2 * _LANE_WORDS)) - 1).bit_length()
    padded = np.zeros(2 * lanes * _LANE_WORDS, np.uint8)
    padded[-len(rest) :] = rest
    padded[-len(values) : len(padded) - len(rest)] = head
    crcs = _of_lanes(padded.view("<u2").reshape(lanes, _LANE_WORDS))
    zeros = 2 * _LANE_WORDS
    while len(crcs) > 1:
        crcs = _shift(crcs[::2], zeros) ^ crcs[1::2]
        zeros *= 2
    return int(crcs[0]) ^ _ALL


def masked(crc: int) -> int:
    """As TFRecord files store it: turned, and moved by a constant."""
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & _ALL


def _of_bytes(values: np.ndarray, crc: int) -> int:
    table = _bytes()
    for value in values.tolist():
        crc = int(table[(crc ^ value) & 255]) ^ crc >> 8
    return crc


def _of_lanes(words: np.ndarray) -> np.ndarray:
    """The CRC of each row, started from zero."""
    table = _words()
    crcs = np.zeros(len(words), np.uint32)
    for column in np.ascontiguousarray(words.T):
        crcs = table[(crcs ^ column) & 0xFFFF] ^ crcs >> 16
    return crcs


def _shift(crcs: np.ndarray, zeros: int) -> np.ndarray:
    """The CRCs after that many zero bytes, a power of two."""
    tables = _shift_tables(zeros)
    parts = (table[crcs >> 8 * i & 255] for i, table in enumerate(tables))
    return functools.reduce(np.bitwise_xor, parts)


@functools.cache
def _bytes() -> np.ndarray:
    crcs = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        crcs = np.where(crcs & 1, crcs >> 1 ^ np.uint32(_POLYNOMIAL), crcs >> 1)
    return crcs


@functools.cache
def _words() -> np.ndarray:
    """What two bytes, as one little-endian word, leave."""
    table, words = _bytes(), np.arange(1 << 16, dtype=np.uint32)
    first = table[words & 255]
    return table[(first ^ words >> 8) & 255] ^ first >> 8


@functools.cache
def _shift_tables(zeros: int) -> tuple[np.ndarray, ...]:
    """For each byte of a CRC, what it becomes: one zero byte, or twice half as many."""
    places = [np.arange(256, dtype=np.uint32) << 8 * i for i in range(4)]
    if zeros == 1:
        return tuple(_bytes()[place & 255] ^ place >> 8 for place in places)
    return tuple(_shift(_shift(place, zeros // 2), zeros // 2) for place in places)
