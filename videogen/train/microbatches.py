"""Gradients of a batch, a part of its rows at a time: less memory, the same sums."""

from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

import jax
import jax.numpy as jnp

from videogen.core.types import Array, Batch, Params

Draws = dict[str, Any]  # arrays of a row for each of the batch, in any tree


@runtime_checkable
class RowwiseLoss(Protocol):
    """A loss that is the mean of its rows', whose randomness is drawn for all at once."""

    def draw(self, batch: Batch, step: Array) -> Draws: ...

    def loss(self, params: Params, batch: Batch, drawn: Draws) -> Array: ...


def value_and_grad(
    of_part: Callable[..., tuple[Array, Params]],
    params: Params,
    batch: tuple[Any, ...],
    microbatches: int,
) -> tuple[Array, Params]:
    """The mean of `of_part(params, *part)`, float32, over so many parts of the batch.

    Args:
      of_part: what jax.value_and_grad makes of the loss of a part.
      batch: trees of arrays whose first dim is the batch's, which the number divides.
    """
    if microbatches == 1:
        return of_part(params, *batch)

    def add(total: Any, part: tuple[Any, ...]) -> tuple[Any, None]:
        return jax.tree.map(jnp.add, total, of_part(params, *part)), None

    zero = jnp.zeros(()), jax.tree.map(jnp.zeros_like, params)
    parts = jax.tree.map(lambda x: _cut(x, microbatches), batch)
    total, _ = jax.lax.scan(add, zero, parts)
    return jax.tree.map(lambda x: x / microbatches, total)


def _cut(x: Array, parts: int) -> Array:
    """(B, ...) -> (parts, B / parts, ...): each part has rows of every device."""
    return jnp.moveaxis(x.reshape(-1, parts, *x.shape[1:]), 1, 0)
