"""Which query attends which key, said with a few integers per token.

Every token carries F integer features. Query n attends key j iff, for every feature f,

    low_f <= q[f, n] - kv[f, j] <= high_f.

Equality (same frame, same segment) is the bound (0, 0); a window of half-width w is
(-w, w); causality over chunks is (0, NO_LIMIT). A conjunction of patterns is the
concatenation of their features. Bounds of a difference are what interval arithmetic can
decide for a whole block of tokens from the least and the greatest feature in it: that is
how dead and full blocks are found without looking at pairs of tokens.
"""

from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from videogen.core.types import Array

NO_LIMIT = 2**30  # beyond any difference of features

Bound = tuple[int, int]
Tensor = Array | np.ndarray  # NumPy: known while tracing; JAX: perhaps traced
AnyTensor = TypeVar("AnyTensor", bound=Tensor)


@partial(
    jax.tree_util.register_dataclass,
    data_fields=("q_RFN", "kv_RFS"),
    meta_fields=("bounds", "one_of"),
)
@dataclass(frozen=True, kw_only=True)
class Mask:
    """Features of queries and keys, int32, and the bounds of their differences.

    R is the batch size, or 1 if all rows of the batch share the mask. With numpy arrays
    the mask is static (known while tracing), with JAX arrays dynamic. Features lie within
    +-2^28, so that no difference overflows; where the bound is (0, 0), any int32 will do.

    one_of: static masks of which a dynamic one will be one; None: nothing is known.
    """

    q_RFN: Any  # Tensor; JAX builds trees of other leaves too
    kv_RFS: Any
    bounds: tuple[Bound, ...]
    one_of: "Masks | None" = None

    @property
    def is_static(self) -> bool:
        return isinstance(self.q_RFN, np.ndarray) and isinstance(
            self.kv_RFS, np.ndarray
        )

    def queries(self, part: slice) -> "Mask":
        """The mask of some of the queries."""
        known = self.one_of and Masks([mask.queries(part) for mask in self.one_of])
        return replace(self, q_RFN=self.q_RFN[..., part], one_of=known)

    def attends(self) -> Tensor:
        """Boolean (R, N, S): the mask written out, for references and small tests."""
        difference_RFNS: Any = self.q_RFN[:, :, :, None] - self.kv_RFS[:, :, None, :]
        low_F11, high_F11 = (
            np.asarray(side, np.int32)[:, None, None]
            for side in zip(*self.bounds, strict=True)
        )
        inside = (low_F11 <= difference_RFNS) & (difference_RFNS <= high_F11)
        return inside.all(axis=1)


class Masks(tuple[Mask, ...]):
    """Static masks. Equal to itself alone, for NumPy arrays have no hash."""

    __eq__ = object.__eq__
    __ne__ = object.__ne__
    __hash__ = object.__hash__


def both(a: Mask | None, b: Mask | None) -> Mask | None:
    """The conjunction: what `a` and `b` both allow (None allows all)."""
    if a is None or b is None:
        return b if a is None else a
    return Mask(
        q_RFN=_join(a.q_RFN, b.q_RFN),
        kv_RFS=_join(a.kv_RFS, b.kv_RFS),
        bounds=a.bounds + b.bounds,
    )


def first_keys(num_q: int, num_kv: int, count: int) -> Mask:
    """The mask of `num_q` queries that attend the first `count` of `num_kv` keys."""
    beyond = (np.arange(num_kv) >= count).astype(np.int32)
    zeros = np.zeros((1, 1, num_q), np.int32)
    return Mask(q_RFN=zeros, kv_RFS=beyond[None, None], bounds=((0, 0),))


def _join(a: Tensor, b: Tensor) -> Tensor:
    xp, rows = array_module(a, b), max(a.shape[0], b.shape[0])
    return xp.concatenate(
        [xp.broadcast_to(x, (rows, *x.shape[1:])) for x in (a, b)], axis=1
    )


def repeat_last(x: AnyTensor, size: int, dim: int) -> AnyTensor:
    """x of that size along `dim`: what stands last is repeated."""
    missing = size - x.shape[dim]
    if not missing:
        return x
    widths = [(0, missing if d == dim % x.ndim else 0) for d in range(x.ndim)]
    return array_module(x).pad(x, widths, mode="edge")


def array_module(*arrays: Tensor) -> Any:
    """NumPy if all of the arrays are NumPy's, else JAX: code for both is written once."""
    return np if all(isinstance(x, np.ndarray) for x in arrays) else jnp
