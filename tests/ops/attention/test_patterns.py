"""Patterns against their definitions, said once more, token by token."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from videogen.core.errors import ConfigError
from videogen.nn.position import grid_coordinates
from videogen.ops.attention.mask import both
from videogen.ops.attention.patterns import (
    And,
    BlockCausal,
    Full,
    SlidingTile,
    Spatial,
    Strided,
    Temporal,
    Window,
    grid_coords,
    segments_mask,
)
from videogen.ops.attention.steps import LIVE, MASKED, classify, forward_steps

GRID = (4, 6, 4)
TOKENS = 4 * 6 * 4
COORDS = grid_coords(GRID)
TILE = (2, 2, 2)


def in_tile_window(q, k, tile, window):
    """Per axis: the window of tiles that holds the query's as near its middle as can be."""
    for q_place, k_place, size, width, length in zip(
        q, k, tile, window, GRID, strict=True
    ):
        num = length // size
        width = min(width, num)
        start = min(max(q_place // size - width // 2, 0), num - width)
        if not start <= k_place // size < start + width:
            return False
    return True


def index(token):
    return (token[0] * GRID[1] + token[1]) * GRID[2] + token[2]


DEFINITIONS = {
    "full": (Full(), lambda q, k: True),
    "spatial": (Spatial(), lambda q, k: q[0] == k[0]),
    "temporal": (Temporal(), lambda q, k: q[1:] == k[1:]),
    "window": (
        Window(frames=0, columns=2),
        lambda q, k: q[0] == k[0] and abs(q[2] - k[2]) <= 2,
    ),
    "window_in_tiles": (
        Window(frames=1, rows=2, columns=3, tile=TILE),
        lambda q, k: (
            abs(q[0] - k[0]) <= 1 and abs(q[1] - k[1]) <= 2 and abs(q[2] - k[2]) <= 3
        ),
    ),
    "sliding_tile": (
        SlidingTile(tile=TILE, window=(1, 3, 3), grid=GRID),
        lambda q, k: in_tile_window(q, k, TILE, (1, 3, 3)),
    ),
    "sliding_tile_narrow": (
        SlidingTile(tile=(1, 1, 2), window=(3, 5, 1), grid=GRID),
        lambda q, k: in_tile_window(q, k, (1, 1, 2), (3, 5, 1)),
    ),
    "strided_single": (
        Strided(stride=5, grid=GRID),
        lambda q, k: index(q) % 5 == index(k) % 5,
    ),
    "strided_group": (
        Strided(stride=3, grid=GRID, group=True),
        lambda q, k: index(q) // 3 % 3 == index(k) // 3 % 3,
    ),
    "block_causal": (BlockCausal(chunk=2), lambda q, k: q[0] // 2 >= k[0] // 2),
    "and": (
        And(patterns=(BlockCausal(chunk=1), Full(), Window(rows=1))),
        lambda q, k: q[0] >= k[0] and abs(q[1] - k[1]) <= 1,
    ),
}
PATTERNS = pytest.mark.parametrize(
    ("pattern", "allows"), DEFINITIONS.values(), ids=DEFINITIONS
)


def attends(mask, rows=1, N=TOKENS, S=TOKENS):
    if mask is None:
        return np.ones((rows, N, S), bool)
    return np.asarray(mask.attends())


@PATTERNS
def test_a_pattern_is_its_definition(pattern, allows):
    tokens = [tuple(token) for token in COORDS[:, :3].tolist()]
    want = [[allows(q, k) for k in tokens] for q in tokens]
    np.testing.assert_array_equal(attends(pattern.mask(COORDS, COORDS))[0], want)


@PATTERNS
def test_a_pattern_goes_with_its_tokens(pattern, allows):
    draw = np.random.default_rng(0)
    q, kv = draw.permutation(TOKENS)[:50], draw.permutation(TOKENS)
    whole = attends(pattern.mask(COORDS, COORDS))[0]
    got = attends(pattern.mask(COORDS[q], COORDS[kv]), N=50)[0]
    np.testing.assert_array_equal(got, whole[q][:, kv])


@PATTERNS
def test_dynamic_batched_coordinates_give_the_same(pattern, allows):
    """With a row of its own for each batch element, and coordinates not quite whole."""
    whole = attends(pattern.mask(COORDS, COORDS))[0]
    orders = np.stack([np.random.default_rng(i).permutation(TOKENS) for i in (0, 1)])
    jitter = np.random.default_rng(2).uniform(-0.3, 0.3, (2, TOKENS, 4))
    coords_BN4 = jnp.asarray(COORDS[orders] + jitter, jnp.float32)
    mask = jax.jit(pattern.mask)(coords_BN4, jnp.asarray(COORDS))
    if mask is not None:
        assert mask.q_RFN.dtype == mask.kv_RFS.dtype == jnp.int32
        assert len(mask.q_RFN) == len(mask.kv_RFS) == 2
    for got, order in zip(attends(mask, rows=2), orders, strict=True):
        np.testing.assert_array_equal(got, whole[order])


@PATTERNS
def test_order_is_a_permutation_and_the_pattern_a_key(pattern, allows):
    order = pattern.order(GRID)
    np.testing.assert_array_equal(np.sort(order), np.arange(TOKENS))
    assert {pattern: 1}[eval(repr(pattern))] == 1
    mask = pattern.mask(COORDS, COORDS)
    assert mask is None or mask.is_static


@pytest.mark.parametrize(
    ("pattern", "block", "kept"),
    (
        (SlidingTile(tile=TILE, window=(1, 1, 1), grid=GRID), 8, 1 / 12),
        (SlidingTile(tile=TILE, window=(1, 3, 1), grid=GRID), 8, 1 / 4),
        (SlidingTile(tile=(2, 1, 4), window=(1, 3, 1), grid=GRID), 8, 1 / 4),
        (SlidingTile(tile=TILE, window=(3, 3, 3), grid=GRID), 8, 1),
        (Spatial(), 24, 1 / 4),
        (Temporal(), 4, 1 / 24),
        (Strided(stride=4, grid=GRID), 24, 1 / 4),
        (Strided(stride=4, grid=GRID, group=True), 24, 1 / 4),
        (BlockCausal(chunk=2), 48, 3 / 4),
        (And(patterns=(Spatial(), Strided(stride=4, grid=GRID))), 6, 1 / 16),
    ),
)
def test_in_its_order_a_pattern_has_no_partial_block(pattern, block, kept):
    coords = COORDS[pattern.order(GRID)]
    mask = pattern.mask(coords, coords)
    steps = forward_steps(mask, TOKENS, TOKENS, block, block)
    assert ((steps.flags & LIVE) > 0).all()
    assert not (steps.flags & MASKED).any()
    assert steps.flags.size == pytest.approx(kept * (TOKENS / block) ** 2)
    assert attends(mask).mean() == pytest.approx(kept)


def test_order_and_back():
    x = np.arange(TOKENS) * 7
    order = Temporal().order(GRID)
    np.testing.assert_array_equal(x[order][np.argsort(order)], x)
    by_place = np.arange(TOKENS).reshape(GRID).transpose(1, 2, 0).ravel()
    np.testing.assert_array_equal(order, by_place)
    tiles = SlidingTile(tile=TILE, window=(1, 1, 1), grid=GRID).order(GRID)
    boxes = np.arange(TOKENS).reshape(2, 2, 3, 2, 2, 2).transpose(0, 2, 4, 1, 3, 5)
    np.testing.assert_array_equal(tiles, boxes.ravel())
    window = Window(frames=1, rows=1, columns=1, tile=TILE)
    np.testing.assert_array_equal(window.order(GRID), tiles)
    for pattern in (Full(), Spatial(), BlockCausal(chunk=2)):
        np.testing.assert_array_equal(pattern.order(GRID), np.arange(TOKENS))


def test_static_coordinates_are_those_of_the_models():
    np.testing.assert_array_equal(COORDS, grid_coordinates(GRID))


def test_segments_join_a_pattern():
    ids = np.random.default_rng(0).integers(0, 3, (2, TOKENS))
    pattern = Window(rows=2)
    mask = both(pattern.mask(COORDS, COORDS), segments_mask(ids, ids))
    want = (ids[:, :, None] == ids[:, None]) & attends(pattern.mask(COORDS, COORDS))
    np.testing.assert_array_equal(attends(mask), want)
    dynamic = jax.jit(
        lambda coords, ids: both(pattern.mask(coords, coords), segments_mask(ids, ids))
    )(jnp.asarray(COORDS), jnp.asarray(ids))
    np.testing.assert_array_equal(attends(dynamic), want)
    for got, want in zip(
        classify(dynamic, TOKENS, TOKENS, 16, 8),
        classify(mask, TOKENS, TOKENS, 16, 8),
        strict=True,
    ):
        np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("asarray", (np.asarray, jnp.asarray))
@pytest.mark.parametrize("dtype", (np.int32, np.uint32, np.int8))
def test_segment_ids_may_be_any_number(asarray, dtype):
    limit = np.iinfo(dtype)
    ids = np.array([[limit.min, limit.min + 1, 0, 1, limit.max - 1, limit.max]], dtype)
    mask = segments_mask(asarray(ids), asarray(ids))
    np.testing.assert_array_equal(attends(mask), ids[:, :, None] == ids[:, None])


def test_ids_that_32_bits_cannot_hold_are_refused():
    ids = np.array([[0, 2**32]])
    with pytest.raises(ValueError, match="segment ids are int64; needs int32"):
        segments_mask(ids, ids)


@pytest.mark.parametrize(
    ("make", "message"),
    (
        (lambda: Window(), "Window limits no axis"),
        (lambda: Window(rows=-1), "Window rows=-1 must be"),
        (
            lambda: SlidingTile(tile=TILE, window=(1, 2, 4), grid=GRID),
            r"window=\(1, 2, 4\) needs odd counts, such as \(1, 3, 5\)",
        ),
        (
            lambda: SlidingTile(tile=(3, 4, 3), window=(1, 1, 1), grid=GRID),
            r"tile=\(3, 4, 3\) does not divide grid=\(4, 6, 4\).*\(2, 3, 2\)",
        ),
        (
            lambda: SlidingTile(tile=(1, 1, 0), window=(1, 1, 1), grid=GRID),
            r"SlidingTile tile=\(1, 1, 0\) must be three whole numbers",
        ),
        (lambda: Strided(stride=0, grid=GRID), "Strided stride=0 must be"),
        (lambda: BlockCausal(chunk=-2), "BlockCausal chunk=-2 must be"),
        (lambda: And(patterns=()), r"And patterns=\(\) must be"),
    ),
)
def test_bad_settings_say_what_would_work(make, message):
    with pytest.raises(ConfigError, match=message) as error:
        make()
    assert "\n" not in str(error.value)


def test_coordinates_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"shape \(96, 3\); need \(N, 4\)"):
        Spatial().mask(COORDS[:, :3], COORDS)
    pattern = Strided(stride=2, grid=(4, 6, 3))
    with pytest.raises(ValueError, match="columns .* run from 0 to 3"):
        pattern.mask(COORDS, COORDS)
