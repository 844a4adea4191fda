"""How many tokens a trunk runs on, so that devices of the context axis hold equal shares.

On TPUs they are whole tiles. XLA lays tokens along lanes, 128 a register: what exchanges tokens
for heads (ops/attention/ulysses.py) moves registers if every share is a multiple of that, and
shifts every one of them if it is not. Padding is like the last token, so that all numbers
stay finite; no token attends it, and it is cut off before anything is read of it.
"""

from jaxtyping import Float

from videogen.core.types import Array
from videogen.ops.attention.mask import repeat_last
from videogen.parallel.constrain import constrain

TILE = 128  # lanes
DEAREST = 64  # at most one token of so many is padding


def padded_tokens(num_tokens: int, ways: int, tiled: bool) -> int:
    """The least number of tokens, padding included, that is cut into equal shares.

    ways: devices of the context axis. tiled: shares are whole tiles where that is cheap.
    """
    if tiled and ways > 1:
        padding = -num_tokens % (ways * TILE)
        if padding * DEAREST <= num_tokens:
            return num_tokens + padding
    return num_tokens + -num_tokens % ways


def pad_embedded(x_BND: Float[Array, "B N D"], size: int) -> Float[Array, "B M D"]:
    """Embedded tokens, M = size of them, where they are."""
    return repeat_last(x_BND, size, 1)


def pad_tokens(x_BNX: Float[Array, "B N X"], size: int) -> Float[Array, "B M X"]:
    """Tokens before they are embedded, M = size of them: each device makes all of a clip's.

    Left alone, XLA cuts features for tokens, pads those and cuts them back: two exchanges more,
    of a form that tpu7x's SparseCores refuse.
    """
    if size == x_BNX.shape[1]:
        return x_BNX
    whole = "batch _ features"
    return constrain(repeat_last(constrain(x_BNX, whole), size, 1), whole)
