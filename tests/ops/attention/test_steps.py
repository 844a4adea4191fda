"""The list of steps against a mask written out, pair of tokens by pair of tokens."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from videogen.core.errors import ConfigError
from videogen.ops.attention import steps as steps_
from videogen.ops.attention.mask import NO_LIMIT, Mask
from videogen.ops.attention.steps import backward_steps, classify, forward_steps

DQ_EDGES = steps_.DQ_FIRST | steps_.DQ_LAST
BOUNDS = ((0, 0), (-1, 1), (0, 3), (0, NO_LIMIT), (-NO_LIMIT, NO_LIMIT))


def random_mask(draw, bounds, rows, N, S, sort):
    """Features that make some blocks dead and some full, the more so if sorted."""
    q, kv = (draw.integers(-3, 6, (rows, len(bounds), size)) for size in (N, S))
    if sort:
        q, kv = np.sort(q), np.sort(kv)
    q, kv = q.astype(np.int32), kv.astype(np.int32)
    return Mask(q_RFN=q, kv_RFS=kv, bounds=bounds)


SIZES = st.tuples(*2 * [st.integers(1, 30)], *2 * [st.integers(1, 12)])
SETTINGS = st.fixed_dictionaries(
    {
        "bounds": st.lists(st.sampled_from(BOUNDS), max_size=3).map(tuple),
        "rows": st.integers(1, 2),
        "sort": st.booleans(),
        "seed": st.integers(0, 2**16),
    }
)


def make_mask(bounds, rows, sort, seed, N, S):
    """No mask where there are no bounds."""
    draw = np.random.default_rng(seed)
    return random_mask(draw, bounds, rows, N, S, sort) if bounds else None


def tiles(attends_NS, block_q, block_kv):
    """{(q block, kv block): the part of the mask there}, which may be cut short."""
    N, S = attends_NS.shape
    return {
        (x, y): attends_NS[
            x * block_q : (x + 1) * block_q, y * block_kv : (y + 1) * block_kv
        ]
        for x in range(-(-N // block_q))
        for y in range(-(-S // block_kv))
    }


def written_out(mask, N, S):
    return np.ones((1, N, S), bool) if mask is None else np.asarray(mask.attends())


def check_cells(cells, flags, tile_of, ragged):
    """Work is where pairs attend, once, and unmasked only where all of them do."""
    live = [cell for cell, flag in zip(cells, flags, strict=True) if flag & steps_.LIVE]
    assert len(set(cells)) == len(cells)
    for cell, tile in tile_of.items():
        assert cell in live or not tile.any()
    for cell, flag in zip(cells, flags, strict=True):
        if flag & steps_.LIVE:
            full = tile_of[cell].all() and cell not in ragged
            assert full or flag & steps_.MASKED
        else:
            assert not flag & steps_.MASKED


def check_edges(blocks, flags, first, last):
    """`first` and `last` stand at the first and last step of every block, only there."""
    for t, block in enumerate(blocks):
        assert bool(flags[t] & first) == (block not in blocks[:t])
        assert bool(flags[t] & last) == (block not in blocks[t + 1 :])


def check_dead(cells, flags, axes):
    """A step without work is the only one of its query block or of its key block."""
    live = [cell for cell, flag in zip(cells, flags, strict=True) if flag & steps_.LIVE]
    for cell, flag in zip(cells, flags, strict=True):
        if not flag & steps_.LIVE:
            assert any(cell[axis] not in {c[axis] for c in live} for axis in axes)


def real_length(flags):
    """Without padding: every real step is an edge or has work."""
    used = np.flatnonzero(flags)
    assert len(used) == used[-1] + 1
    return len(used)


@settings(max_examples=150, deadline=None)
@given(SIZES, SETTINGS)
def test_forward_steps(sizes, settings):
    N, S, block_q, block_kv = sizes
    mask = make_mask(**settings, N=N, S=S)
    got = forward_steps(mask, *sizes)
    assert all(isinstance(x, np.ndarray) and x.dtype == np.int32 for x in got[:4])
    for r, attends_NS in enumerate(written_out(mask, N, S)):
        tile_of = tiles(attends_NS, block_q, block_kv)
        length = real_length(got.flags[r])
        q, kv, flags = (x[r, :length].tolist() for x in got[:3])
        cells = list(zip(q, kv, strict=True))
        assert cells == sorted(cells)
        assert set(q) == set(range(-(-N // block_q)))
        ragged = {cell for cell in cells if tile_of[cell].shape[1] < block_kv}
        check_cells(cells, flags, tile_of, ragged)
        check_edges(q, flags, steps_.FIRST, steps_.LAST)
        check_dead(cells, flags, (0,))
        assert not any(flag & DQ_EDGES for flag in flags)
        assert (got.dq_block == got.q_block).all()
        check_padding(got, r, length)


@settings(max_examples=150, deadline=None)
@given(SIZES, SETTINGS)
def test_backward_steps(sizes, settings):
    N, S, block_q, block_kv = sizes
    mask = make_mask(**settings, N=N, S=S)
    got = backward_steps(mask, *sizes)
    for r, attends_NS in enumerate(written_out(mask, N, S)):
        tile_of = tiles(attends_NS, block_q, block_kv)
        length = real_length(got.flags[r])
        q, kv, flags = (x[r, :length].tolist() for x in got[:3])
        cells = list(zip(q, kv, strict=True))
        assert cells == sorted(cells, key=lambda cell: cell[::-1])
        assert set(q) == set(range(-(-N // block_q)))
        assert set(kv) == set(range(-(-S // block_kv)))
        ragged = {cell for cell in cells if tile_of[cell].shape[1] < block_kv}
        check_cells(cells, flags, tile_of, ragged)
        check_edges(kv, flags, steps_.FIRST, steps_.LAST)
        check_edges(q, flags, steps_.DQ_FIRST, steps_.DQ_LAST)
        check_dead(cells, flags, (0, 1))
        check_window(got.dq_block[r].tolist(), q, flags)
        check_padding(got, r, length)


def check_window(window, q, flags):
    """Every query block's window is one run of steps, in which its last visit falls."""
    runs = [b for t, b in enumerate(window) if t == 0 or window[t - 1] != b]
    assert sorted(runs) == sorted(set(q))
    for t, flag in enumerate(flags):
        if flag & steps_.DQ_LAST:
            assert window[t] == q[t]


def check_padding(got, r, length):
    assert (got.flags[r, length:] == 0).all()
    for block in (got.q_block, got.kv_block, got.dq_block):
        assert (block[r, length:] == block[r, length - 1]).all()


@pytest.mark.parametrize("make", (forward_steps, backward_steps))
@pytest.mark.parametrize("rows", (1, 3))
@pytest.mark.parametrize("sort", (False, True))
def test_dynamic_equals_static(make, rows, sort):
    draw, sizes = np.random.default_rng(rows), (61, 40, 8, 6)
    run = jax.jit(lambda mask: make(mask, *sizes))
    for _ in range(8):
        mask = random_mask(draw, ((0, 0), (-2, NO_LIMIT)), rows, 61, 40, sort)
        static, dynamic = make(mask, *sizes), run(jax.tree.map(jnp.asarray, mask))
        T = static.flags.shape[1]
        assert dynamic.flags.shape == (rows, 8 * 7)
        assert not dynamic.overflow.any()
        assert dynamic.count == static.count == T
        for got, want in zip(dynamic[:4], static[:4], strict=True):
            assert got.dtype == jnp.int32
            np.testing.assert_array_equal(got[:, :T], want)
        for r in range(rows):
            check_padding(jax.tree.map(np.asarray, dynamic), r, T)


@pytest.mark.parametrize("make", (forward_steps, backward_steps))
def test_too_few_steps_are_reported(make):
    sizes = (64, 64, 8, 8)
    ids = np.stack([np.zeros(64), np.arange(64) // 8]).astype(np.int32)[:, None]
    mask = Mask(q_RFN=ids, kv_RFS=ids, bounds=((0, 0),))  # 64 steps, and 8
    short = jax.jit(lambda mask: make(mask, *sizes, max_steps=63))(
        jax.tree.map(jnp.asarray, mask)
    )
    np.testing.assert_array_equal(short.overflow, [True, False])
    assert short.flags.shape == (2, 63) and short.count == 63
    exact = make(jax.tree.map(jnp.asarray, mask), *sizes, max_steps=64)
    assert not exact.overflow.any()
    with pytest.raises(ValueError, match="max_steps=63 but the mask needs 64"):
        make(mask, *sizes, max_steps=63)
    assert make(mask, *sizes, max_steps=64).flags.shape == (2, 64)
    with pytest.raises(ConfigError, match="max_steps=0"):
        make(mask, *sizes, max_steps=0)


def test_packed_rows_visit_only_blocks_with_pairs():
    ends = np.array([10, 23, 24, 61, 90])
    ids = np.searchsorted(ends, np.arange(100), side="right").astype(np.int32)
    mask = Mask(q_RFN=ids[None, None], kv_RFS=ids[None, None], bounds=((0, 0),))
    live_RXY, full_RXY = classify(mask, 100, 100, 7, 9)
    for cell, tile in tiles(mask.attends()[0], 7, 9).items():
        assert live_RXY[0][cell] == tile.any()
        assert full_RXY[0][cell] == tile.all()


def test_any_int32_may_be_compared_for_equality():
    limit = np.iinfo(np.int32)
    ids = np.array([limit.min, limit.min + 1, -1, 0, limit.max], np.int32)
    ids = ids.repeat(4)[None, None]
    mask = Mask(q_RFN=ids, kv_RFS=ids, bounds=((0, 0),))
    for feature in (mask, jax.tree.map(jnp.asarray, mask)):
        live_RXY, full_RXY = classify(feature, 20, 20, 4, 4)
        np.testing.assert_array_equal(live_RXY[0], np.eye(5, dtype=bool))
        np.testing.assert_array_equal(full_RXY[0], np.eye(5, dtype=bool))


def test_without_a_mask_only_ragged_ends_are_masked():
    forward = forward_steps(None, 75_600, 75_600, 2048, 2048)
    backward = backward_steps(None, 75_600, 75_600, 2048, 2048)
    assert forward.flags.shape == backward.flags.shape == (1, 37 * 37)
    for got in (forward, backward):  # the last keys, which every query block meets
        assert ((got.flags & steps_.MASKED) > 0).sum() == 37
    even = backward_steps(None, 4096, 8192, 2048, 1024)
    assert not (even.flags & steps_.MASKED).any()


def test_sizes_that_do_not_fit_are_refused():
    mask = Mask(
        q_RFN=np.zeros((1, 1, 8), np.int32),
        kv_RFS=np.zeros((1, 1, 4), np.int32),
        bounds=((0, 0),),
    )
    for sizes, message in (
        ((0, 4, 2, 2), "N=0 must be at least 1"),
        ((8, 4, 2, 0), "block_kv=0 must be at least 1"),
        ((4, 4, 2, 2), "the mask has 8 queries and 4 keys; needs 4 and 4"),
        ((10**6, 10**6, 1, 1), "use blocks so large"),
    ):
        with pytest.raises(ValueError, match=message) as error:
            forward_steps(mask, *sizes)
        assert "\n" not in str(error.value)
