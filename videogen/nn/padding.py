"""Tokens beyond the last one: devices of the context axis hold equal shares, or whole tiles.

XLA lays tokens along lanes, 128 a register. What exchanges tokens for heads (ops/attention/
ulysses.py) moves whole registers if every device's share of tokens is a multiple of that, and
shifts every one of them if it is not. Padding is like the last token, so that all numbers
stay finite; no token attends it, and it is cut off before anything is read of it.
"""

from typing import TypeVar

from videogen.nn.position import Tensor
from videogen.ops.attention.mask import array_module

AnyTensor = TypeVar("AnyTensor", bound=Tensor)
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


def pad_tokens(x: AnyTensor, num_tokens: int, dim: int) -> AnyTensor:
    """x of `num_tokens` tokens along `dim`: the last one is repeated."""
    missing = num_tokens - x.shape[dim]
    if not missing:
        return x
    widths = [(0, missing if d == dim % x.ndim else 0) for d in range(x.ndim)]
    return array_module(x).pad(x, widths, mode="edge")
