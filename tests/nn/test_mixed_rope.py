"""Learned rotary frequencies, and coordinates scaled to one area."""

import jax
import jax.numpy as jnp
import numpy as np

from videogen.nn.mixed_rope import centred_coordinates, first_frequencies, mixed_rope


def test_frames_of_every_size_have_one_area_and_their_middle_at_zero():
    for grid in ((2, 6, 10), (1, 9, 4)):
        coords = centred_coordinates(grid, 36.0)
        np.testing.assert_allclose(coords.mean(0)[1:], 0, atol=1e-6)
        np.testing.assert_array_equal(np.unique(coords[:, 0]), np.arange(grid[0]))
        rows, columns = (np.unique(coords[:, axis]) for axis in (1, 2))
        assert (len(rows), len(columns)) == grid[1:]
        sides = [len(x) * (x[1] - x[0]) for x in (rows, columns)]
        np.testing.assert_allclose(np.prod(sides), 36.0, rtol=1e-5)


def test_angles_mix_the_axes_and_pairs_share_them():
    frequencies = jax.random.normal(jax.random.key(0), (3, 2, 4))
    coords = centred_coordinates((2, 3, 4), 12.0)
    cos, sin = mixed_rope(coords, frequencies)
    assert cos.shape == sin.shape == (1, 2, 24, 8)
    want = sum(coords[7, a] * frequencies[a, 1, 3] for a in range(3))
    np.testing.assert_allclose(cos[0, 1, 7, 6:], np.cos(want), atol=1e-5)
    np.testing.assert_allclose(sin[0, 1, 7, 6:], np.sin(want), atol=1e-5)
    packed = jnp.stack([coords, coords[::-1]])
    np.testing.assert_allclose(
        mixed_rope(packed, frequencies)[0][1], cos[0, :, ::-1], atol=1e-5
    )


def test_first_frequencies_have_the_sizes_of_rotary_ones():
    frequencies = first_frequencies(3, 8, jax.random.key(0))
    sizes = jnp.linalg.norm(frequencies, axis=0)
    want = 1e4 ** (-np.arange(0, 8, 2) / 8)
    np.testing.assert_allclose(sizes, np.broadcast_to(want, (3, 4)), rtol=1e-5)
