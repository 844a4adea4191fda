"""Pictures of patterns: which blocks a kernel visits, and what one token attends."""

import math
import os
from collections.abc import Mapping

import numpy as np

from videogen.ops.attention.mask import Mask
from videogen.ops.attention.patterns import Pattern, Triple, grid_coords
from videogen.ops.attention.steps import classify

Colour = tuple[int, int, int]
PAPER, INK, QUIET = (255, 255, 255), (40, 40, 40), (225, 225, 225)
BLUE, ORANGE, RED = (60, 110, 190), (240, 160, 60), (200, 30, 40)
BLOCKS: Mapping[str, Colour] = {"dead": QUIET, "partial": ORANGE, "full": BLUE}
TOKENS: Mapping[str, Colour] = {"other": QUIET, "attended": BLUE, "token": RED}
GAP, LEGEND_HEIGHT, SWATCH, ENTRY_WIDTH = 6, 24, 12, 100
WIDTH = 1024  # pixels to fill: few cells are drawn large, many at one pixel each


def draw_blocks(
    mask: Mask | None,
    N: int,
    S: int,
    block_q: int,
    block_kv: int,
    path: str | os.PathLike,
) -> None:
    """A PNG of the pairs of blocks: queries down, keys across, a panel per mask row."""
    live_RXY, full_RXY = classify(mask, N, S, block_q, block_kv)
    _save(np.asarray(live_RXY, int) + np.asarray(full_RXY, int), BLOCKS, path)


def draw_receptive_field(
    pattern: Pattern, grid: Triple, token: Triple, path: str | os.PathLike
) -> None:
    """A PNG of the tokens that `token` (frame, row, column) attends, a panel per frame.

    Raises ValueError for a token outside the (frames, rows, columns) grid.
    """
    if not all(0 <= place < size for place, size in zip(token, grid, strict=True)):
        raise ValueError(f"draw: token={token} lies outside grid={grid}")
    coords = grid_coords(grid)
    query = coords[np.ravel_multi_index(token, grid)]
    mask = pattern.mask(query[None], coords)
    attends_N = np.ones(len(coords)) if mask is None else mask.attends()[0, 0]
    kind_FHW = np.asarray(attends_N, int).reshape(grid)
    kind_FHW[token] = 2
    _save(kind_FHW, TOKENS, path)


def layout(shape: tuple[int, int, int]) -> tuple[int, np.ndarray, tuple[int, int]]:
    """(pixels per cell, top-left pixel of each panel, pixels of the picture: y, x).

    shape: panels, and the rows and columns of cells in each.
    """
    num, height, width = shape
    across = math.ceil(math.sqrt(num))
    scale = max(1, WIDTH // (across * width))
    pitch = scale * height + GAP, scale * width + GAP
    place = np.stack(np.divmod(np.arange(num), across), axis=-1)
    corners = place * pitch + (LEGEND_HEIGHT, GAP)
    bottom, right = corners.max(axis=0) + pitch
    return scale, corners, (int(bottom), max(int(right), GAP + 3 * ENTRY_WIDTH))


def _save(kinds: np.ndarray, legend: Mapping[str, Colour], path) -> None:
    """Panels of integers; cell value i in the i-th colour of the legend."""
    Image, ImageDraw = _pillow()
    scale, corners, (height, width) = layout(kinds.shape)
    image = Image.new("RGB", (width, height), PAPER)
    pen = ImageDraw.Draw(image)
    for i, (name, colour) in enumerate(legend.items()):
        x, y = GAP + i * ENTRY_WIDTH, (LEGEND_HEIGHT - SWATCH) // 2
        pen.rectangle((x, y, x + SWATCH - 1, y + SWATCH - 1), fill=colour)
        pen.text((x + SWATCH + GAP, y), name, fill=INK)
    colours = np.array(list(legend.values()), np.uint8)
    for kind, (top, left) in zip(kinds, corners, strict=True):
        pixels = colours[kind].repeat(scale, axis=0).repeat(scale, axis=1)
        image.paste(Image.fromarray(pixels), (int(left), int(top)))
    image.save(path, format="PNG")


def _pillow():
    try:
        from PIL import Image, ImageDraw
    except ImportError as error:
        raise ImportError(
            "drawing a pattern needs Pillow: pip install pillow"
        ) from error
    return Image, ImageDraw
