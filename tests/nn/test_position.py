"""Positions come from coordinates alone, and scores see only their differences."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from videogen.nn.position import (
    grid_coordinates,
    ntk_thetas,
    rope,
    rope_split,
    rotate,
    sincos,
    sincos_split,
)


def test_grid_runs_over_frames_then_rows_then_columns():
    coords = grid_coordinates((2, 2, 3), fps=8.0)
    assert coords.shape == (12, 4)
    np.testing.assert_array_equal(coords[7], [1, 0, 1, 8])


@pytest.mark.parametrize(
    "head_dim, split", [(128, (44, 42, 42)), (64, (24, 20, 20)), (8, (4, 2, 2))]
)
def test_rope_split_is_wans_rule(head_dim, split):
    assert rope_split(head_dim) == split
    assert sum(split) == head_dim


def test_ntk_slows_the_slowest_pair_by_the_factor_and_keeps_the_fastest():
    split, factors = (44, 42, 42), (2.0, 1.0, 3.0)
    for dim, factor, theta in zip(
        split, factors, ntk_thetas(split, factors), strict=True
    ):
        rates = [theta ** (-2 * i / dim) for i in (0, dim // 2 - 1)]
        assert rates[0] == 1.0
        assert rates[1] * factor == pytest.approx(1e4 ** (-(dim - 2) / dim))


def test_sincos_split_is_cogvideox_rule():
    assert sincos_split(1152) == (288, 432, 432)


def test_angles_are_right_to_1e_4_at_coordinate_1000():
    coords = jnp.array([[1000.0, 517.0, 3.0, 0.0]])
    cos, sin = rope(coords, (44, 42, 42))
    want = np.concatenate(
        [
            float(coords[0, axis]) * 1e4 ** (-np.arange(0, dim, 2) / dim)
            for axis, dim in enumerate((44, 42, 42))
        ]
    )
    want = np.repeat(want, 2)  # the two numbers of a pair share their angle
    np.testing.assert_allclose(cos[0], np.cos(want), atol=1e-4)
    np.testing.assert_allclose(sin[0], np.sin(want), atol=1e-4)


def scores(q, k, coords):
    rotation = rope(coords, rope_split(q.shape[-1]))
    return jnp.einsum("bkne,bkse->bkns", rotate(q, *rotation), rotate(k, *rotation))


def test_scores_are_unchanged_when_every_token_moves_by_the_same_shift():
    q, k = jax.random.normal(jax.random.key(0), (2, 2, 3, 12, 16))
    coords = grid_coordinates((2, 2, 3))
    moved = coords + jnp.array([5.0, 17.0, 31.0, 0.0])
    np.testing.assert_allclose(scores(q, k, coords), scores(q, k, moved), atol=1e-4)
    other = coords * 2.0
    assert not np.allclose(scores(q, k, coords), scores(q, k, other), atol=1e-2)


def test_pairs_of_neighbours_turn_as_complex_numbers_do():
    x = jax.random.normal(jax.random.key(0), (1, 2, 12, 16))
    cos, sin = rope(grid_coordinates((2, 2, 3)), rope_split(16))
    want = (x[..., ::2] + 1j * x[..., 1::2]) * (cos + 1j * sin)[:, ::2]
    got = rotate(x, cos, sin)
    np.testing.assert_allclose(got[..., ::2], want.real, atol=1e-6)
    np.testing.assert_allclose(got[..., 1::2], want.imag, atol=1e-6)
    np.testing.assert_array_equal(
        got[:, :, 0], x[:, :, 0]
    )  # coordinate 0 turns nothing


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_heads_along_the_last_dim_but_one_turn_alike(dtype):
    x = jax.random.normal(jax.random.key(0), (1, 2, 12, 16), dtype)
    cos, sin = rope(grid_coordinates((2, 2, 3)), rope_split(16))
    got = rotate(x.mT, cos.mT, sin.mT, dim=-2)
    assert got.dtype == dtype
    np.testing.assert_array_equal(got, rotate(x, cos, sin).mT)


def test_rotation_and_sincos_take_coordinates_per_sample():
    one, two = grid_coordinates((2, 2, 3)), grid_coordinates((1, 3, 4))
    both = jnp.stack([one, two])
    x = jax.random.normal(jax.random.key(0), (2, 2, 12, 16))
    cos, sin = rope(both, rope_split(16))
    y = rotate(x, cos[:, None], sin[:, None])
    np.testing.assert_allclose(y[1:], rotate(x[1:], *rope(two, rope_split(16))))
    embedded = sincos(both, sincos_split(32))
    np.testing.assert_allclose(embedded[1], sincos(two, sincos_split(32)))


def test_sincos_tells_every_token_apart_and_may_skip_an_axis():
    coords = grid_coordinates((2, 3, 4))
    rows = np.unique(np.asarray(sincos(coords, (8, 12, 12))).round(4), axis=0)
    assert len(rows) == 24
    flat = sincos(coords, (0, 16, 16))
    np.testing.assert_array_equal(flat[:12], flat[12:])  # frames look the same
