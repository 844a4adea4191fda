"""Groups of tokens: folded or as segments, they are what the definition says, at its cost."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from videogen.nn.attention import SelfAttention
from videogen.nn.groups import GROUPS, Fold, Segments, make_groups, whole_grid
from videogen.nn.position import grid_coordinates, rope
from videogen.ops.attention import AttentionPlan, api
from videogen.ops.attention.across import Across

GRID = (3, 4, 5)
SKIP = 2  # 60 tokens divide by 2 and by 4; with 4, groups are filled up
each_group = pytest.mark.parametrize("kind", GROUPS)


def group_of(kind, skip):
    """The definitions, in words of the papers."""
    frame, row, column = np.indices(GRID).reshape(3, -1)
    place = np.arange(frame.size)
    return {
        "spatial": frame,
        "temporal": row * GRID[2] + column,
        "skip": place % skip,
        "group_skip": place // skip % skip,
    }[kind]


@each_group
@pytest.mark.parametrize("skip", [SKIP, 4, 7])
def test_folding_gathers_a_group_and_unfolding_puts_it_back(kind, skip):
    fold = make_groups(kind, grid_coordinates(GRID), skip)
    assert isinstance(fold, Fold)
    number = jnp.arange(1.0, 61.0)
    x = jnp.stack([number, -number])[..., None]
    folded = fold.fold(x, fold.size(60))
    np.testing.assert_array_equal(fold.unfold(folded, 60), x)
    group = group_of(kind, skip)
    assert len(folded) == 2 * fold.count
    for i, row in enumerate(np.asarray(folded)):
        members = np.flatnonzero(group == i % fold.count) + 1
        found = row[row != 0]  # the rest fills up
        np.testing.assert_array_equal(found, members * (1 if i < fold.count else -1))


@each_group
@pytest.mark.parametrize("skip", [SKIP, 4])
def test_folded_attention_is_that_of_segments_and_of_the_definition(kind, skip):
    coords = grid_coordinates(GRID)
    attention = SelfAttention(16, 2, qk_norm="rms_head", rngs=nnx.Rngs(0))
    x = jax.random.normal(jax.random.key(1), (2, 60, 16))
    rotation = rope(coords, (4, 2, 2))
    group = jnp.asarray(group_of(kind, skip))
    want = attention(x, rotation, jnp.broadcast_to(group, (2, 60)))
    got = make_groups(kind, coords, skip).attend(attention, x, rotation)
    np.testing.assert_allclose(got, want, atol=1e-5)

    order = jax.random.permutation(jax.random.key(2), 60)
    moved = make_groups(kind, jnp.asarray(coords)[order], skip)
    assert isinstance(moved, Segments)
    turns = (rotation[0][order], rotation[1][order])
    got = moved.attend(attention, x[:, order], turns)
    np.testing.assert_allclose(got, want[:, order], atol=1e-5)


@pytest.mark.parametrize("of_group", [False, True])
def test_attention_across_rows_is_that_of_folded_tokens(monkeypatch, of_group):
    """With a rotation of all tokens, or one that all groups share."""
    coords = grid_coordinates(GRID)
    attention = SelfAttention(16, 2, qk_norm="rms_head", rngs=nnx.Rngs(0))
    x = jax.random.normal(jax.random.key(1), (2, 60, 16))
    rotation = rope(coords, (4, 2, 2))
    if of_group:
        rotation = tuple(part[:: GRID[1] * GRID[2]] for part in rotation)
    groups = make_groups("temporal", coords)
    want = groups.attend(attention, x, rotation)
    monkeypatch.setattr(AttentionPlan, "can_cross", lambda plan, rows: rows == GRID[0])
    monkeypatch.setattr(api, "Across", functools.partial(Across, interpret=True))
    np.testing.assert_allclose(groups.attend(attention, x, rotation), want, atol=1e-5)
    traced = jax.make_jaxpr(lambda x: groups.attend(attention, x, None))(x)
    assert "attention_across" in str(traced)


def test_a_group_is_filled_up_to_what_a_mesh_divides():
    assert Fold(stride=1, count=20).size(60) == 3
    assert Fold(stride=1, count=20).size(60, 4) == 4
    assert Fold(stride=20, count=3).size(60, 4) == 20
    assert Fold(stride=6, count=10).size(60, 4) == 12
    x = jnp.arange(60.0).reshape(1, 60, 1)
    fold = Fold(stride=6, count=10)
    np.testing.assert_array_equal(fold.unfold(fold.fold(x, 12), 60), x)


def test_rows_of_a_batch_may_lie_differently():
    coords = jnp.asarray(grid_coordinates(GRID))
    groups = make_groups("temporal", jnp.stack([coords, coords[::-1]]))
    ids = group_of("temporal", 1)
    np.testing.assert_array_equal(groups.ids_BN, np.stack([ids, ids[::-1]]))


def test_only_a_grid_known_to_be_whole_is_folded():
    coords = grid_coordinates(GRID, fps=24.0)
    assert whole_grid(coords) == GRID
    assert whole_grid(jnp.asarray(coords)) is None
    assert whole_grid(coords[::-1]) is None
    assert whole_grid(coords[:-1]) is None
    assert whole_grid(coords + np.array([1, 0, 0, 0], np.float32)) is None
    assert whole_grid(coords[None]) is None


@each_group
def test_attention_in_groups_costs_a_group_each(kind):
    """What XLA counts beyond the projections, against all tokens' N^2."""
    grid = (8, 4, 8)
    attention = SelfAttention(128, 1, rngs=nnx.Rngs(0))

    def flops(groups):
        def call(x):
            return attention(x) if groups is None else groups.attend(attention, x, None)

        lowered = jax.jit(call).lower(jax.ShapeDtypeStruct((1, 256, 128), jnp.float32))
        return lowered.compile().cost_analysis()["flops"]

    linear = 2 * 256 * 4 * 128**2
    groups = make_groups(kind, grid_coordinates(grid), SKIP)
    share = (flops(groups) - linear) / (flops(None) - linear)
    assert share == pytest.approx(1 / groups.count, rel=0.15)
