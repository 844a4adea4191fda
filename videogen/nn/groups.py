"""Groups of tokens that attend only each other, at what that costs: N^2 / groups.

With i a token's place in its grid, frames first, it belongs to the group

    (i // stride) mod count        spatial      stride H W,  count F      a frame
                                   temporal     stride 1,    count H W    a place in all frames
                                   skip         stride 1,    count k
                                   group_skip   stride k,    count k

(Latte, arXiv 2401.03048; Skiparse of Open-Sora Plan, 2412.00131). The tokens of a whole grid,
seen as (N / (count stride), count, stride), have their group as a dim of its own, which
joins the batch: attention is `count` small ones, and nothing is masked but what fills up a
group that is not whole, or that a mesh does not divide. Tokens that come otherwise
(permuted, or known at run time only) carry their group as a segment's id instead, and cost
what the kernel cannot skip.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from videogen.core.types import Array
from videogen.nn.attention import Rotation, SelfAttention
from videogen.nn.position import Tensor, Triple, grid_coordinates
from videogen.parallel.constrain import ways

# (frames, rows, columns) of the grid, k -> (stride, count). Of ints, or of arrays.
GROUPS: dict[str, Callable] = {
    "spatial": lambda f, h, w, k: (h * w, f),
    "temporal": lambda f, h, w, k: (1, h * w),
    "skip": lambda f, h, w, k: (1, k),
    "group_skip": lambda f, h, w, k: (k, k),
}


@dataclass(frozen=True, kw_only=True)
class Fold:
    """The groups of a whole grid's tokens."""

    stride: int
    count: int

    def size(self, num_tokens: int, multiple: int = 1) -> int:
        """Tokens of one group, filled up to whole strides and to a multiple."""
        strides = -(-num_tokens // (self.count * self.stride))
        step = multiple // math.gcd(self.stride, multiple)
        return -(-strides // step) * step * self.stride

    def fold(self, x_BNX: Float[Array, "B N X"], size: int) -> Float[Array, "b n X"]:
        """(B * count, size, X), the groups of a row together; filled up with zeros."""
        batch, tokens, dim = x_BNX.shape
        x_BNX = jnp.pad(x_BNX, ((0, 0), (0, self.count * size - tokens), (0, 0)))
        x = x_BNX.reshape(batch, -1, self.count, self.stride, dim).swapaxes(1, 2)
        return x.reshape(batch * self.count, size, dim)

    def unfold(
        self, y_BNX: Float[Array, "b n X"], num_tokens: int
    ) -> Float[Array, "B N X"]:
        """The inverse of `fold`."""
        dim = y_BNX.shape[-1]
        batch = y_BNX.shape[0] // self.count
        y = y_BNX.reshape(batch, self.count, -1, self.stride, dim).swapaxes(1, 2)
        return y.reshape(batch, -1, dim)[:, :num_tokens]

    def attend(
        self,
        attention: SelfAttention,
        x_BND: Float[Array, "B N D"],
        rotation: Rotation | None,
    ) -> Float[Array, "B N D"]:
        """`nn.attention.SelfAttention` in each group.

        A mesh's context axis cuts the groups where it divides their number (arXiv
        2403.10266), else the tokens of each.

        rotation: (N, E) of all tokens, or of a group's where it is the same in all.
        """
        batch, tokens, _ = x_BND.shape
        parts = ways("tokens")
        size = self.size(tokens, 1 if self.count % parts == 0 else parts)
        if self._is_across(attention, batch, tokens):
            return self._attend_across(attention, x_BND, rotation, size)
        if rotation is not None:
            cos, sin = (self._rotation(x, batch, tokens, size) for x in rotation)
            rotation = cos, sin
        segments_BN = None
        if self.count * size != tokens:
            is_token_NX = jnp.ones((tokens, 1))
            filled_BNX = self._of_rows(is_token_NX, batch, size)
            segments_BN = filled_BNX[..., 0].astype(jnp.int32)
        folded = self.fold(x_BND, size)
        y_BND = attention(folded, rotation, segments_BN, groups=self.count)
        return self.unfold(y_BND, tokens)

    def _is_across(self, attention: SelfAttention, batch: int, tokens: int) -> bool:
        """Whether a group has one token of each stretch of `count`, and few of them."""
        whole = self.stride == 1 and tokens % self.count == 0
        whole = whole and batch % ways("batch") == 0  # a mesh cuts no group of rows
        return whole and attention.plan.can_cross(tokens // self.count)

    def _attend_across(
        self,
        attention: SelfAttention,
        x_BND: Array,
        rotation: Rotation | None,
        size: int,
    ) -> Array:
        """As `attend`, where the tokens stay in their places: stretches become rows."""
        rows_BND = x_BND.reshape(-1, self.count, x_BND.shape[-1])

        def of_rows(x_NE: Array) -> Array:
            each = x_NE.reshape(size, -1, x_NE.shape[-1])  # for all places, or theirs
            each = jnp.broadcast_to(each, (size, self.count, x_NE.shape[-1]))
            return jnp.tile(each, (len(x_BND), 1, 1))

        if rotation is not None:
            rotation = of_rows(rotation[0]), of_rows(rotation[1])
        return attention.across(rows_BND, rotation, size).reshape(x_BND.shape)

    def _rotation(self, x_NE: Array, batch: int, tokens: int, size: int) -> Array:
        if len(x_NE) == tokens:
            return self._of_rows(x_NE, batch, size)
        return jnp.pad(x_NE, ((0, size - len(x_NE)), (0, 0)))

    def _of_rows(self, x_NX: Array, batch: int, size: int) -> Array:
        """Folded, and the same for every row of the batch."""
        x_GNX = self.fold(x_NX[None], size)
        x_BGNX = jnp.broadcast_to(x_GNX, (batch, *x_GNX.shape))
        return x_BGNX.reshape(-1, *x_GNX.shape[1:])


@dataclass(frozen=True, kw_only=True)
class Segments:
    """The groups of any tokens: ids_BN, or ids_N for all rows."""

    ids_BN: Array

    def attend(
        self,
        attention: Callable[..., Array],
        x_BND: Float[Array, "B N D"],
        rotation: Rotation | None,
    ) -> Float[Array, "B N D"]:
        """As `Fold.attend`."""
        ids_BN = jnp.broadcast_to(self.ids_BN, x_BND.shape[:2])
        return attention(x_BND, rotation, ids_BN)


Groups = Fold | Segments


def make_groups(kind: str, coords_N4: Float[Tensor, "*b N 4"], skip: int = 1) -> Groups:
    """Groups of a name in GROUPS, by coordinates of all tokens of a grid (of each row)."""
    grid = whole_grid(coords_N4)
    if grid is not None:
        stride, count = GROUPS[kind](*grid, skip)
        return Fold(stride=stride, count=count)
    frames, rows, columns = grid_sizes(coords_N4)
    stride, count = GROUPS[kind](frames, rows, columns, skip)
    frame, row, column = jnp.moveaxis(jnp.round(coords_N4[..., :3]), -1, 0)
    place = (frame * rows + row) * columns + column
    ids = place.astype(jnp.int32) // jnp.int32(stride) % jnp.int32(count)
    return Segments(ids_BN=ids)


def whole_grid(coords_N4: Tensor) -> Triple | None:
    """(frames, rows, columns) if the tokens are known to be a whole grid in order."""
    if not isinstance(coords_N4, np.ndarray) or coords_N4.ndim != 2:
        return None
    f, h, w = map(int, coords_N4[:, :3].max(0) + 1)
    if f * h * w != len(coords_N4):
        return None
    is_whole = np.array_equal(coords_N4[:, :3], grid_coordinates((f, h, w))[:, :3])
    return (f, h, w) if is_whole else None


def grid_sizes(coords_N4: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """(frames, rows, columns) of the grid, each an array, with a dim of 1 for (N,)."""
    most = coords_N4[..., :3].max(axis=-2, keepdims=True) + 1
    return most[..., 0], most[..., 1], most[..., 2]
