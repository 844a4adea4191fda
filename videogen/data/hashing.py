"""Randomness without state: hashes and permutations of integers, the same everywhere.

numpy's generators may change their streams between versions; a run that resumes years
later must find its batches unchanged, so the bits are spelled out here.
"""

import zlib

import numpy as np

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MULTIPLIERS = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_SHIFTS = np.uint64(30), np.uint64(27), np.uint64(31)
_ROUNDS = 10  # fewer are uneven on a handful of records
_MASK = (1 << 64) - 1


def hash64(*parts: int | np.ndarray) -> np.ndarray:
    """uint64 hash of integers, broadcast together.

    Each part passes through the finaliser of SplitMix64 (Steele, Lea and Flood, Fast
    Splittable Pseudorandom Number Generators, 2014).
    """
    result = np.zeros(np.broadcast_shapes(*map(np.shape, parts)), np.uint64)
    with np.errstate(over="ignore"):  # arithmetic modulo 2^64 is meant
        for part in parts:
            result = _absorbed(result, _as_uint64(part))
    return np.asarray(result)


def draw64(stream: str, *parts: int | np.ndarray) -> np.ndarray:
    """uint64 random bits for one use of randomness. Two uses, two names."""
    return hash64(zlib.crc32(stream.encode()), *parts)


def permute(
    index_N: np.ndarray, size: int | np.ndarray, key_N: np.ndarray
) -> np.ndarray:
    """Where each index goes in the permutation of range(size) that its key chooses.

    size: of all, or of each; less than 2^53.

    A Feistel network permutes the next even power of two; cycle walking (Black and
    Rogaway, Ciphers with Arbitrary Finite Domains, 2002) brings it down to `size`: O(1)
    per index, nothing stored. uint64 keys; int64 in and out.
    """
    size_N = np.broadcast_to(size, index_N.shape)
    _, bits_N = np.frexp(size_N - 1)  # of a number below 2^53, its length in binary
    half_N = np.maximum(1, (bits_N + 1) // 2).astype(np.uint64)
    # The keys of the rounds, once: a batch of a few walks through the network often.
    key_TN = hash64(np.broadcast_to(key_N, index_N.shape), np.arange(_ROUNDS)[:, None])
    result_N = _feistel(index_N.astype(np.uint64), half_N, key_TN)
    while (outside_N := result_N >= size_N).any():
        result_N[outside_N] = _feistel(
            result_N[outside_N], half_N[outside_N], key_TN[:, outside_N]
        )
    return result_N.astype(np.int64)


def _feistel(x_N: np.ndarray, bits: np.ndarray, key_TN: np.ndarray) -> np.ndarray:
    mask = (np.uint64(1) << bits) - np.uint64(1)
    left, right = x_N >> bits, x_N & mask
    for key_N in key_TN:
        left, right = right, left ^ (_absorbed(key_N, right) & mask)
    return (left << bits) | right


def _absorbed(
    hash_N: np.ndarray | np.uint64, part_N: np.ndarray
) -> np.ndarray | np.uint64:
    """The hash of what was hashed and one part more."""
    return _finalise((hash_N + _GOLDEN) ^ part_N)


def _finalise(x: np.ndarray | np.uint64) -> np.ndarray | np.uint64:
    x = (x ^ (x >> _SHIFTS[0])) * _MULTIPLIERS[0]
    x = (x ^ (x >> _SHIFTS[1])) * _MULTIPLIERS[1]
    return x ^ (x >> _SHIFTS[2])


def _as_uint64(part: int | np.ndarray) -> np.ndarray:
    if isinstance(part, int):
        return np.asarray(part & _MASK, np.uint64)
    return np.asarray(part).astype(np.uint64)
