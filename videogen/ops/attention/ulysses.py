"""Heads for tokens: each device gives its tokens of most heads for all tokens of a few.

`count` neighbours on a mesh axis hold consecutive tokens of all heads (Jacobs et al. 2023,
arXiv 2309.14509). One all-to-all later each holds the tokens of all of them, of K / count
query heads; attention needs no other exchange, and a second all-to-all takes the output
back. Differentiable: the transpose of an all-to-all is an all-to-all.

Key/value heads must divide too. Where count does not divide G, each head is repeated
count / gcd(G, count) times, which makes lcm(G, count) heads: both G and count divide K, so
their lcm does, and query head h still reads a copy of the head that it read before.
"""

import math
from dataclasses import dataclass

import jax
import jax.numpy as jnp

from videogen.core.types import Array


@dataclass(frozen=True, kw_only=True)
class Ulysses:
    """Groups of `count` neighbours on a mesh axis of `size`, inside `jax.shard_map`."""

    axis: str
    size: int
    count: int

    def gather_tokens(
        self, q_BKEN: Array, k_BGSE: Array, v_BGES: Array
    ) -> tuple[Array, Array, Array]:
        """(q, k, v) of all tokens of the group and of this device's share of the heads."""
        k_BGSE, v_BGES = (repeat_heads(x, self.count) for x in (k_BGSE, v_BGES))
        q = self._exchange(q_BKEN, split=1, join=3)
        k = self._exchange(k_BGSE, split=1, join=2)
        v = self._exchange(v_BGES, split=1, join=3)
        return q, k, v

    def scatter_tokens(self, o_BKEN: Array) -> Array:
        """o of this device's tokens and of all heads: the way back."""
        return self._exchange(o_BKEN, split=3, join=1)

    def _exchange(self, x: Array, *, split: int, join: int) -> Array:
        if self.count == 1:
            return x
        groups = [
            list(range(first, first + self.count))
            for first in range(0, self.size, self.count)
        ]
        return jax.lax.all_to_all(
            x, self.axis, split, join, axis_index_groups=groups, tiled=True
        )


def repeat_heads(x_BG: Array, count: int) -> Array:
    """x with as many copies of each head (dim 1), side by side, that `count` divides."""
    repeats = count // math.gcd(x_BG.shape[1], count)
    return x_BG if repeats == 1 else jnp.repeat(x_BG, repeats, axis=1)
