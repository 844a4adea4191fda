"""Heads for tokens: each device gives its tokens of most heads for all tokens of a few.

`count` neighbours on a mesh axis hold consecutive tokens of all heads (Jacobs et al. 2023,
arXiv 2309.14509). One all-to-all later each holds the tokens of all of them, of K / count
query heads; attention needs no other exchange, and a second all-to-all takes the output
back. Differentiable: the transpose of an all-to-all is an all-to-all.

Key/value heads must divide too. Where count does not divide G, each head is repeated
count / gcd(G, count) times, which makes lcm(G, count) heads: both G and count divide K, so
their lcm does, and query head h still reads a copy of the head that it read before.
"""

import functools
import math
from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jax.experimental.layout import Layout, with_layout_constraint

from videogen.core.types import Array

HEADS, LAST = 1, 3  # dims
SUBLANES = 8  # of a register; lanes are 128 of the last dim


@dataclass(frozen=True, kw_only=True)
class Ulysses:
    """Groups of `count` neighbours on a mesh axis of `size`, inside `jax.shard_map`.

    row_major: on TPUs: what has come lies as kernels read it, and what is sent likewise.
        Left alone, XLA turns most of it twice.
    """

    axis: str
    size: int
    count: int
    row_major: bool = False

    def gather_tokens(
        self, q_BKEN: Array, k_BGSE: Array, v_BGES: Array
    ) -> tuple[Array, Array, Array]:
        """(q, k, v) of all tokens of the group and of this device's share of the heads."""
        k_BGSE, v_BGES = (repeat_heads(x, self.count) for x in (k_BGSE, v_BGES))
        q = self._exchange(q_BKEN, split=HEADS, join=LAST)
        k = self._exchange(k_BGSE, split=HEADS, join=2)
        v = self._exchange(v_BGES, split=HEADS, join=LAST)
        return q, k, v

    def scatter_tokens(self, o_BKEN: Array) -> Array:
        """o of this device's tokens and of all heads: the way back."""
        return self._exchange(o_BKEN, split=LAST, join=HEADS)

    def _exchange(self, x: Array, *, split: int, join: int) -> Array:
        return x if self.count == 1 else _exchange(self, split, join, x)

    def move(self, split: int, join: int, x: Array) -> Array:
        """x with its dim `split` cut among the group, and `join` of all of the group."""
        sent = self._cut(x, split)
        groups = [
            list(range(first, first + self.count))
            for first in range(0, self.size, self.count)
        ]
        got = jax.lax.all_to_all(sent, self.axis, 0, 0, axis_index_groups=groups)
        return self._joined(got, join)

    def _cut(self, x: Array, dim: int) -> Array:
        """Its parts along a dim, one after the other."""
        if dim == LAST:
            return self._cut_lanes(x)
        parts = x.reshape(*x.shape[:dim], self.count, -1, *x.shape[dim + 1 :])
        return jnp.moveaxis(parts, dim, 0)

    def _cut_lanes(self, x_BKEN: Array) -> Array:
        """By whole registers, or XLA turns the tokens out of the lanes first."""
        B, K, E, N = x_BKEN.shape
        rows = math.gcd(E, SUBLANES)
        parts = x_BKEN.reshape(B, K, E // rows, rows, self.count, N // self.count)
        return self._laid(jnp.moveaxis(parts, 4, 0).reshape(self.count, B, K, E, -1))

    def _joined(self, parts: Array, dim: int) -> Array:
        x = jnp.moveaxis(parts, 0, dim)
        x = x.reshape(*x.shape[:dim], -1, *x.shape[dim + 2 :])
        if dim != HEADS:
            return self._laid(x)
        # Else a float32 copy of the parts is made before what reads the heads.
        return jax.lax.optimization_barrier(x) if self.row_major else x

    def _laid(self, x: Array) -> Array:
        if not self.row_major:
            return x
        return with_layout_constraint(x, Layout(tuple(range(x.ndim))))


@functools.partial(jax.custom_vjp, nondiff_argnums=(0, 1, 2))
def _exchange(swap: Ulysses, split: int, join: int, x: Array) -> Array:
    return swap.move(split, join, x)


def _forward_rule(swap: Ulysses, split: int, join: int, x: Array):
    return swap.move(split, join, x), None


def _backward_rule(swap: Ulysses, split: int, join: int, _: None, grad: Array):
    """Its transpose is the way back; written so, it is laid out as well."""
    return (swap.move(join, split, grad),)


_exchange.defvjp(_forward_rule, _backward_rule)


def repeat_heads(x_BG: Array, count: int) -> Array:
    """x with as many copies of each head (dim 1), side by side, that `count` divides."""
    repeats = count // math.gcd(x_BG.shape[1], count)
    return x_BG if repeats == 1 else jnp.repeat(x_BG, repeats, axis=1)
