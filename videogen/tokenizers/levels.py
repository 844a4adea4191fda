"""8-bit levels 0..255 as pixels in [-1, 1]."""

import jax.numpy as jnp
import numpy as np

from videogen.core.types import Array

# 1 / 127.5 in two parts. The first has 16 bits, so that 8 bits times it are exact; the sum
# then rounds once, as the division does, for every level (the tests try them all).
_HIGH = np.float32(float.fromhex("0x1.0102p-7"))
_LOW = np.float32(1 / 127.5 - float(_HIGH))


def pixels_of(levels: Array | np.ndarray) -> Array:
    """float32(levels) / 127.5 - 1 in the bits of IEEE division. Jittable.

    Divided, it would not have them: compilers multiply by 1 / 127.5 instead.
    """
    numbers = jnp.asarray(levels, jnp.float32)
    return numbers * _HIGH + numbers * _LOW - 1
