"""Patches: the inverse inverts, and tokens stand where their coordinates say."""

import jax.numpy as jnp
import numpy as np
import pytest

from videogen.core.errors import ConfigError
from videogen.nn.patch import beside_given, patchify, token_grid, unpatchify
from videogen.nn.position import grid_coordinates

PATCHES = [(1, 2, 2), (2, 2, 1), (1, 1, 1), (2, 4, 3)]


@pytest.mark.parametrize("patch", PATCHES)
def test_unpatchify_inverts_patchify(patch):
    x = jnp.arange(2 * 4 * 8 * 6 * 3.0).reshape(2, 4, 8, 6, 3)
    tokens = patchify(x, patch)
    grid = token_grid((4, 8, 6), patch)
    assert tokens.shape == (2, np.prod(grid), np.prod(patch) * 3)
    np.testing.assert_array_equal(unpatchify(tokens, grid, patch), x)


def test_token_n_is_the_patch_at_coordinate_n():
    x = jnp.arange(4 * 8 * 6 * 3.0).reshape(1, 4, 8, 6, 3)
    patch = (2, 4, 3)
    coords = np.asarray(grid_coordinates(token_grid((4, 8, 6), patch))).astype(int)
    for token, (f, h, w, _) in zip(patchify(x, patch)[0], coords, strict=True):
        cut = x[0, 2 * f : 2 * f + 2, 4 * h : 4 * h + 4, 3 * w : 3 * w + 3]
        np.testing.assert_array_equal(token, cut.reshape(-1))


@pytest.mark.parametrize(
    "sizes, message",
    [
        ((4, 7, 6), r"height=7 does not divide by 2 .* 6 or 8 would work"),
        ((4, 8, 1), r"width=1 does not divide by 2 .*; 2 would work"),
    ],
)
def test_a_patch_that_does_not_divide_names_the_dim(sizes, message):
    with pytest.raises(ConfigError, match=message):
        token_grid(sizes, (1, 2, 2))


def test_given_channels_come_after_the_latents_own_and_default_to_zeros():
    latent, given = jnp.ones((1, 2, 3, 4, 2)), jnp.full((1, 2, 3, 4, 3), 2.0)
    np.testing.assert_array_equal(
        beside_given(latent, given, 3)[0, 1, 2, 3], [1, 1, 2, 2, 2]
    )
    np.testing.assert_array_equal(
        beside_given(latent, None, 3), beside_given(latent, 0 * given, 3)
    )
    with pytest.raises(ConfigError, match="given_channels=2, .* 3 channels"):
        beside_given(latent, given, 2)
