"""A packed row is its clips, each alone."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.models.tiny import TINY
from tests.networks import random_params
from videogen.models.cross.model import make
from videogen.nn.fence import Network
from videogen.nn.patch import patchify, token_grid

CHANNELS, LENGTH, DIM = 4, 5, 16
SHAPES = (4, 4, 8), (2, 6, 4), (2, 2, 2)
VARIANTS = {
    "rope": {},
    "fractional": {"position": "fractional_rope"},
    "learned": {"position": "learned", "position_sizes": (4, 4, 8)},
    "own modulation": {"modulation": "own"},
    "all text": {"mask_text": False},
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_row_is_its_clips(variant):
    config = dataclasses.replace(TINY["cross"].config, **VARIANTS[variant])
    network = Network.of(make(config))
    params = random_params(network)
    rng = np.random.default_rng(0)
    channels = config.latent_channels
    clips = [
        jnp.asarray(rng.standard_normal((1, *s, channels), np.float32)) for s in SHAPES
    ]
    texts = [
        jnp.asarray(rng.standard_normal((1, n, DIM), np.float32)) for n in (3, 5, 1)
    ]
    t_R, fps_R = jnp.array([0.3, 0.9, 0.5]), jnp.array([8.0, 24.0, 30.0])
    alone = [
        network.apply(
            *(params, clip, t_R[i : i + 1]),
            text_BLD=texts[i],
            text_mask_BL=jnp.ones(texts[i].shape[:2], bool),
            fps_B=fps_R[i : i + 1],
        )
        for i, clip in enumerate(clips)
    ]
    tokens = [patchify(clip, config.patch) for clip in clips]
    row = jnp.concatenate(tokens, axis=1)
    pad = 6
    segments = [jnp.full((1, x.shape[1]), i + 1) for i, x in enumerate(texts)]
    grids = [token_grid(shape, config.patch) for shape in SHAPES]
    packed = network.apply(
        params,
        jnp.pad(row, ((0, 0), (0, pad), (0, 0))),
        jnp.pad(t_R, (0, 1))[None],
        method="packed",
        grid_BR3=jnp.array([[*grids, (0, 0, 0)]]),
        text_BLD=jnp.pad(jnp.concatenate(texts, axis=1), ((0, 0), (0, 2), (0, 0))),
        text_segments_BL=jnp.pad(jnp.concatenate(segments, axis=1), ((0, 0), (0, 2))),
        fps_BR=jnp.pad(fps_R, (0, 1))[None],
    )
    expected = jnp.concatenate([patchify(x, config.patch) for x in alone], axis=1)
    np.testing.assert_allclose(
        packed[:, : row.shape[1]], expected, rtol=2e-4, atol=2e-4
    )
    assert jax.numpy.isfinite(packed).all()
