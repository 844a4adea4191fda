"""Randomness as a pure function of (seed, step, stream): nothing to save or restore."""

import zlib

import jax

from videogen.core.types import Array


def key(seed: int, step: int | Array, stream: str) -> Array:
    """A PRNG key for one use of randomness at one step.

    Args:
      seed: the experiment's seed.
      step: the optimiser's step, a Python int or a traced int32 scalar.
      stream: the name of the use, e.g. "noise", "time", "init". Two uses, two names.
    """
    root = jax.random.key(seed)
    named = jax.random.fold_in(root, zlib.crc32(stream.encode()))
    return jax.random.fold_in(named, step)
