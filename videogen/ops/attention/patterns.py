"""Sparse attention as patterns over where tokens are: frame, row and column.

A pattern gives each token a few integers, computed from its coordinates alone, and bounds
of their differences between a query and a key (see `mask`). Coordinates are counted in
tokens, so the same pattern serves a grid, a packed row and a shard of either. NumPy
coordinates give a static mask, JAX coordinates a dynamic one.

`pattern.order(grid)` is the order of a grid's tokens in which those that attend each other
stand together, so that blocks of tokens are dead or full: `x[order]` puts tokens into it,
`x[np.argsort(order)]` back. It sorts by the integers of the keys; ties keep their place.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np

from videogen.core.errors import ConfigError
from videogen.ops.attention.mask import (
    NO_LIMIT,
    Bound,
    Mask,
    Tensor,
    array_module,
    both,
)

Triple = tuple[int, int, int]
AXES = ("frames", "rows", "columns")


@dataclass(frozen=True, kw_only=True)
class Pattern:
    """Every query attends every key; the base of the patterns below.

    What a pattern computes has the shape of frame, row and column, which are int32.
    """

    @property
    def bounds(self) -> tuple[Bound, ...]:
        """Of q - kv, per feature."""
        return ()

    def key_features(self, frame: Any, row: Any, column: Any) -> Sequence[Any]:
        return ()

    def query_features(self, frame: Any, row: Any, column: Any) -> Sequence[Any]:
        return self.key_features(frame, row, column)

    def sort_keys(self, frame: Any, row: Any, column: Any) -> Sequence[Any]:
        """What `order` sorts by, the most important first."""
        return self.key_features(frame, row, column)

    def mask(self, q_coords: Tensor, kv_coords: Tensor) -> Mask | None:
        """The mask, None if all attend. Coordinates (N, 4) or (B, N, 4), see `nn.position`.

        Raises ValueError for another shape, or static coordinates outside a declared grid.
        """
        if not self.bounds:
            return None
        q_RFN = _stack(self.query_features(*_axes(q_coords)))
        kv_RFS = _stack(self.key_features(*_axes(kv_coords)))
        rows = max(len(q_RFN), len(kv_RFS))
        q_RFN, kv_RFS = (
            array_module(x).broadcast_to(x, (rows, *x.shape[1:]))
            for x in (q_RFN, kv_RFS)
        )
        return Mask(q_RFN=q_RFN, kv_RFS=kv_RFS, bounds=self.bounds)

    def order(self, grid: Triple) -> np.ndarray:
        """The permutation of a (frames, rows, columns) grid's tokens, see the module."""
        keys = self.sort_keys(*_axes(grid_coords(grid)))
        raster = np.arange(math.prod(grid))
        return np.lexsort([raster, *(key[0] for key in reversed(keys))])


@dataclass(frozen=True, kw_only=True)
class Full(Pattern):
    """Every query attends every key."""


@dataclass(frozen=True, kw_only=True)
class Spatial(Pattern):
    """The tokens of the same frame."""

    @property
    def bounds(self):
        return ((0, 0),)

    def key_features(self, frame, row, column):
        return (frame,)


@dataclass(frozen=True, kw_only=True)
class Temporal(Pattern):
    """The tokens at the same place of every frame."""

    @property
    def bounds(self):
        return ((0, 0), (0, 0))

    def key_features(self, frame, row, column):
        return row, column


@dataclass(frozen=True, kw_only=True)
class Window(Pattern):
    """The tokens at most so many frames, rows and columns away; None: any number.

    tile: (frames, rows, columns) of the boxes that `order` keeps together; None: it sorts
        by the axes that are limited.
    """

    frames: int | None = None
    rows: int | None = None
    columns: int | None = None
    tile: Triple | None = None

    def __post_init__(self):
        for axis, half in zip(AXES, self._halves, strict=True):
            if half is not None and not (isinstance(half, int) and half >= 0):
                raise ConfigError(
                    f"Window {axis}={half!r} must be a whole number of at least 0, or None"
                )
        if self._halves == (None, None, None):
            raise ConfigError(
                "Window limits no axis; give frames, rows or columns, or use Full()"
            )
        if self.tile is not None:
            _check_counts("Window tile", self.tile)

    @property
    def _halves(self):
        return self.frames, self.rows, self.columns

    @property
    def bounds(self):
        return tuple((-half, half) for half in self._halves if half is not None)

    def key_features(self, frame, row, column):
        places = zip((frame, row, column), self._halves, strict=True)
        return [place for place, half in places if half is not None]

    def sort_keys(self, frame, row, column):
        if self.tile is None:
            return self.key_features(frame, row, column)
        return _tile_of((frame, row, column), self.tile)


@dataclass(frozen=True, kw_only=True)
class SlidingTile(Pattern):
    """The tiles in a window around the query's tile (Sliding Tile Attention, 2502.04507).

    All queries of a tile attend the same tiles: those in the window centred on their own,
    moved as far as it takes to stay inside the grid. In `order`, with blocks of one tile,
    every block is dead or full.

    tile: (frames, rows, columns) of a tile, in tokens; divides the grid.
    window: tiles along each axis, odd; as wide as the grid or wider: all.
    grid: (frames, rows, columns) of a video, in tokens.
    """

    tile: Triple
    window: Triple
    grid: Triple

    def __post_init__(self):
        for name in ("tile", "window", "grid"):
            _check_counts(f"SlidingTile {name}", getattr(self, name))
        if any(size % 2 == 0 for size in self.window):
            odd = tuple(size // 2 * 2 + 1 for size in self.window)
            raise ConfigError(
                f"SlidingTile window={self.window} needs odd counts, such as {odd}"
            )
        if any(size % tile for size, tile in zip(self.grid, self.tile, strict=True)):
            near = tuple(map(_divisor, self.grid, self.tile))
            raise ConfigError(
                f"SlidingTile tile={self.tile} does not divide grid={self.grid}; "
                f"one that does: {near}"
            )

    @property
    def bounds(self):
        return tuple((-(size // 2), size // 2) for size in self.window)

    def key_features(self, frame, row, column):
        _check_inside("SlidingTile", self.grid, (frame, row, column))
        return _tile_of((frame, row, column), self.tile)

    def query_features(self, frame, row, column):
        centre = []
        tile_of = self.key_features(frame, row, column)
        num_tiles = map(int.__floordiv__, self.grid, self.tile)
        for tile, size, num in zip(tile_of, self.window, num_tiles, strict=True):
            # In a window wider than the grid the upper end is the lower: it wins, and
            # from there the window reaches every tile.
            centre.append(tile.clip(size // 2, num - 1 - size // 2))
        return centre


@dataclass(frozen=True, kw_only=True)
class Strided(Pattern):
    """Skiparse (Open-Sora Plan, arXiv 2412.00131): the tokens of the same class.

    With i the place of a token in the grid, its class is i mod stride ("single skip") or,
    with `group`, (i // stride) mod stride ("group skip"): one in `stride` tokens either way.
    """

    stride: int
    grid: Triple
    group: bool = False

    def __post_init__(self):
        _check_count("Strided stride", self.stride)
        _check_counts("Strided grid", self.grid)

    @property
    def bounds(self):
        return ((0, 0),)

    def key_features(self, frame, row, column):
        _check_inside("Strided", self.grid, (frame, row, column))
        index = (frame * self.grid[1] + row) * self.grid[2] + column
        return ((index // self.stride if self.group else index) % self.stride,)


@dataclass(frozen=True, kw_only=True)
class BlockCausal(Pattern):
    """The tokens of the same chunk of frames and of earlier ones (MAGI-1, 2505.13211).

    chunk: frames per chunk.
    """

    chunk: int

    def __post_init__(self):
        _check_count("BlockCausal chunk", self.chunk)

    @property
    def bounds(self):
        return ((0, NO_LIMIT),)

    def key_features(self, frame, row, column):
        return (frame // self.chunk,)


@dataclass(frozen=True, kw_only=True)
class And(Pattern):
    """What all of the patterns allow; `order` sorts by the first, ties by the next."""

    patterns: tuple[Pattern, ...]

    def __post_init__(self):
        if not isinstance(self.patterns, tuple) or not self.patterns:
            raise ConfigError(
                f"And patterns={self.patterns!r} must be a tuple of patterns"
            )

    def sort_keys(self, frame, row, column):
        return [
            key
            for pattern in self.patterns
            for key in pattern.sort_keys(frame, row, column)
        ]

    def mask(self, q_coords, kv_coords):
        return reduce(both, (p.mask(q_coords, kv_coords) for p in self.patterns))


def segments_mask(q_segments_BN: Tensor, kv_segments_BS: Tensor) -> Mask:
    """Tokens of equal ids attend each other. Join with a pattern's mask by `mask.both`.

    Raises ValueError for ids that do not fit in 32 bits.
    """
    q_B1N, kv_B1S = (_ids(x)[:, None, :] for x in (q_segments_BN, kv_segments_BS))
    return Mask(q_RFN=q_B1N, kv_RFS=kv_B1S, bounds=((0, 0),))


def grid_coords(grid: Triple) -> np.ndarray:
    """Static coords_N4 of a full grid, as `nn.position.grid_coordinates`; fps 0."""
    places = np.indices(grid, np.int32).reshape(3, -1).T
    return np.pad(places, ((0, 0), (0, 1)))


def _axes(coords: Tensor) -> tuple[Any, Any, Any]:
    """frame, row and column (R, N), int32."""
    if coords.ndim not in (2, 3) or coords.shape[-1] != 4:
        raise ValueError(
            f"attention: coordinates have shape {coords.shape}; need (N, 4) or (B, N, 4)"
        )
    rows = coords if coords.ndim == 3 else coords[None]
    places = array_module(coords).round(rows).astype(np.int32)
    return places[..., 0], places[..., 1], places[..., 2]


def _stack(features: Sequence[Any]) -> Any:
    return array_module(*features).stack(features, axis=1)


def _tile_of(place: Sequence[Any], tile: Triple) -> list[Any]:
    return [x // size for x, size in zip(place, tile, strict=True)]


def _ids(segments_BN: Tensor) -> Any:
    """int32 ids, different where the ids given are different."""
    ids = segments_BN.astype(np.int32)
    if segments_BN.dtype.itemsize <= 4:
        return ids
    if not isinstance(ids, np.ndarray) or (ids != segments_BN).any():
        raise ValueError(
            f"attention: segment ids are {segments_BN.dtype}; needs int32, or NumPy ids "
            "that fit in it"
        )
    return ids


def _check_inside(owner: str, grid: Triple, place: Sequence[Any]) -> None:
    """Only static coordinates can be looked at."""
    for name, x, size in zip(AXES, place, grid, strict=True):
        if isinstance(x, np.ndarray) and x.size and not 0 <= x.min() <= x.max() < size:
            raise ValueError(
                f"attention: {owner} grid={grid} but {name} of the tokens' coordinates "
                f"run from {x.min()} to {x.max()}; give the grid of the video"
            )


def _check_count(name: str, value: Any) -> None:
    if not isinstance(value, int) or value < 1:
        raise ConfigError(f"{name}={value!r} must be a whole number of at least 1")


def _check_counts(name: str, value: Any) -> None:
    three = isinstance(value, tuple) and len(value) == 3
    if not three or not all(isinstance(size, int) and size >= 1 for size in value):
        raise ConfigError(
            f"{name}={value!r} must be three whole numbers of at least 1: "
            "(frames, rows, columns)"
        )


def _divisor(number: int, at_most: int) -> int:
    """The greatest divisor of `number` that is no greater than `at_most`."""
    return max(d for d in range(1, min(number, at_most) + 1) if number % d == 0)
