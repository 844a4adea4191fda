"""Published checkpoints: names and layouts, as one table that is read both ways.

Ours are `{dotted path: array}`, the blocks of a stack as one array with a leading `layers`
dim. Theirs are `{key: tensor}`, a tensor a layer. A `WeightTable` says, for every path of
ours with its layer put in ("blocks.3.attn1.to_q.kernel"), which key it is and how it lies
there. Reading uses every key once and fills every path, or fails; writing is the inverse,
bit for bit.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from videogen.core.errors import DataError

Shape = tuple[int, ...]
MOST_NAMED = 8  # keys of an error


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Two functions of an array, each the other's inverse."""

    ours: Callable[[np.ndarray], np.ndarray]
    theirs: Callable[[np.ndarray], np.ndarray]

    def then(self, more: "Layout") -> "Layout":
        """From theirs to ours by this one first."""
        return Layout(
            ours=lambda x: more.ours(self.ours(x)),
            theirs=lambda x: self.theirs(more.theirs(x)),
        )


SAME = Layout(ours=lambda x: x, theirs=lambda x: x)
# A linear layer: theirs (out, in), ours (in, out).
LINEAR = Layout(ours=lambda x: x.T, theirs=lambda x: x.T)
# A table that theirs gives a leading dim of one.
LEADING_ONE = Layout(ours=lambda x: x[0], theirs=lambda x: x[None])


def patch_conv(channels: int, patch: tuple[int, ...]) -> Layout:
    """A strided convolution (out, C, *patch) as our linear layer of patches (P, out)."""

    def ours(place: Place, tensor: np.ndarray) -> np.ndarray:
    """Our tensor, of theirs that holds it."""
    part, dim = _part(place, tensor), place.rows_dim
    if place.rows is not None:
        part = part.reshape(*tensor.shape[:dim], -1, *tensor.shape[dim + 1 :])
    return place.layout.ours(part)


def put(place: Place, value: np.ndarray, tensor: np.ndarray) -> None:
    """Writes a value in their layout to where it stands in their contiguous tensor."""
    part = _part(place, tensor)
    part[...] = value.reshape(part.shape)


def _part(place: Place, tensor: np.ndarray) -> np.ndarray:
    """A view of what is ours in their tensor; the dim of `rows` is cut into periods."""
    if place.rows is None:
        return tensor
    dim, shape = place.rows_dim, tensor.shape
    period = place.period or shape[dim]
    periods = tensor.reshape(*shape[:dim], -1, period, *shape[dim + 1 :])
    return periods[(*[slice(None)] * (dim + 1), slice(*place.rows))]


def layer_key(place: Place) -> str:
    """The name of one tensor of ours outside of memory: `path`, or `path[layer]`."""
    return place.path if place.layer is None else f"{place.path}[{place.layer}]"


def _at(place: Place) -> Any:
    return ... if place.layer is None else place.layer


def _hollow(shape: Shape) -> np.ndarray:
    """An array of that shape which takes no memory."""
    return np.broadcast_to(np.zeros((), np.int8), shape)


def _sizes(shape: Shape) -> str:
    return "x".join(map(str, shape)) or "a number"


def _some(what: str, names: list[str]) -> str:
    if not names:
        return ""
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return f"{what}: {', '.join(names[:MOST_NAMED])}{more}"
