"""Pictures show what the masks say, cell by cell."""

import sys

import numpy as np
import pytest
from PIL import Image

from videogen.ops.attention import draw
from videogen.ops.attention.mask import Mask
from videogen.ops.attention.patterns import Full, SlidingTile, Spatial, grid_coords
from videogen.ops.attention.steps import classify

GRID = (3, 4, 8)


def cells(path, shape, legend):
    """The entry of the legend that each cell of each panel shows."""
    image = np.asarray(Image.open(path).convert("RGB"))
    scale, corners, size = draw.layout(shape)
    assert image.shape == (*size, 3)
    colours = np.array(list(legend.values()))
    panels = []
    for top, left in corners:
        height, width = scale * shape[1], scale * shape[2]
        panel = image[top : top + height, left : left + width]
        middle = panel[scale // 2 :: scale, scale // 2 :: scale]
        assert (panel == middle.repeat(scale, axis=0).repeat(scale, axis=1)).all()
        found = (middle[:, :, None] == colours).all(axis=-1)
        assert (found.sum(axis=-1) == 1).all()
        panels.append(found.argmax(axis=-1))
    return np.stack(panels)


def test_blocks(tmp_path):
    path, ids = tmp_path / "blocks.png", np.arange(60) // 12
    ids = np.stack([ids, ids // 2]).astype(np.int32)[:, None]
    mask = Mask(q_RFN=ids, kv_RFS=ids, bounds=((0, 0),))
    draw.draw_blocks(mask, 60, 60, 8, 6, path)
    got = cells(path, (2, 8, 10), draw.BLOCKS)
    live_RXY, full_RXY = classify(mask, 60, 60, 8, 6)
    np.testing.assert_array_equal(got > 0, live_RXY)
    np.testing.assert_array_equal(got == 2, full_RXY)
    assert set(got.ravel()) == {0, 1, 2}


def test_blocks_without_a_mask_are_full(tmp_path):
    draw.draw_blocks(None, 40, 30, 8, 8, tmp_path / "blocks.png")
    assert (cells(tmp_path / "blocks.png", (1, 5, 4), draw.BLOCKS) == 2).all()


@pytest.mark.parametrize(
    "pattern",
    (Full(), Spatial(), SlidingTile(tile=(1, 2, 2), window=(3, 1, 3), grid=GRID)),
)
def test_receptive_field(pattern, tmp_path):
    path, token = tmp_path / "field.png", (1, 2, 7)
    draw.draw_receptive_field(pattern, GRID, token, path)
    got = cells(path, GRID, draw.TOKENS)
    coords = grid_coords(GRID)
    mask = pattern.mask(coords, coords)
    index = np.ravel_multi_index(token, GRID)
    want = np.ones(GRID) if mask is None else mask.attends()[0, index].reshape(GRID)
    np.testing.assert_array_equal(np.argwhere(got == 2), [token])
    np.testing.assert_array_equal(got > 0, want)


def test_the_legend_shows_every_colour(tmp_path):
    draw.draw_receptive_field(Full(), (1, 1, 1), (0, 0, 0), tmp_path / "field.png")
    image = np.asarray(Image.open(tmp_path / "field.png").convert("RGB"))
    legend = image[: draw.LEGEND_HEIGHT].reshape(-1, 3)
    for colour in draw.TOKENS.values():
        assert (legend == colour).all(axis=1).sum() >= draw.SWATCH**2


def test_a_token_outside_the_grid_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"token=\(3, 0, 0\) lies outside"):
        draw.draw_receptive_field(Full(), GRID, (3, 0, 0), tmp_path / "field.png")


def test_a_missing_pillow_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(ImportError, match="pip install pillow"):
        draw.draw_blocks(None, 8, 8, 4, 4, tmp_path / "blocks.png")
