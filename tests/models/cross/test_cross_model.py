"""Wan: its published sizes and arithmetic, and its use of the text."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from networks import random_params

from videogen.core.errors import ConfigError
from videogen.models.cross import flops
from videogen.models.cross.config import CrossConfig
from videogen.models.cross.model import make
from videogen.models.cross.sizes import wan2_1_t2v_1_3b, wan2_1_t2v_14b
from videogen.nn.fence import Network

TINY = CrossConfig(
    latent_channels=4, width=32, depth=2, num_heads=4, mlp_width=64, text_dim=16
)


@pytest.mark.parametrize(
    "config, published, block",
    [
        (wan2_1_t2v_1_3b(), 1_418_996_800, 46_440_704),
        (wan2_1_t2v_14b(), 14_288_491_584, 351_394_304),
    ],
)
def test_published_sizes_have_the_published_number_of_parameters(
    config, published, block
):
    shapes = Network.of(make(config)).abstract()
    d, m = config.width, config.mlp_width
    assert sum(leaf.size for leaf in shapes.values()) == published
    blocks = sum(leaf.size for path, leaf in shapes.items() if "blocks." in path)
    assert blocks == config.depth * block
    assert block == 8 * d * d + 2 * d * m + m + 21 * d


@pytest.mark.parametrize(
    "config, latent, linear, attention",
    [
        (wan2_1_t2v_1_3b(), (21, 60, 104, 16), 82, 201),
        (wan2_1_t2v_14b(), (21, 60, 104, 16), 785, 893),
        (wan2_1_t2v_14b(), (21, 90, 160, 16), 1810, 4714),
    ],
)
def test_flops_of_published_shapes(config, latent, linear, attention):
    """TFLOP of a forward pass at 81 x 480 x 832 and 81 x 720 x 1280, 512 text tokens."""
    assert round(flops.linear_flops(config, latent, 512) / 1e12) == linear
    assert round(flops.attention_flops(config, latent, 512) / 1e12) == attention


def run(config, text, mask):
    net = Network.of(make(config))
    params = random_params(net)
    latent = jax.random.normal(jax.random.key(1), (2, 2, 4, 4, 4))
    t = jnp.array([0.3, 0.6])
    return jax.jit(net.apply)(params, latent, t, text_BLD=text, text_mask_BL=mask)


TEXT = jax.random.normal(jax.random.key(2), (2, 5, 16))
MASK = jnp.array([[1, 1, 1, 0, 0], [1, 0, 0, 0, 0]], bool)


def test_padding_of_the_text_is_hidden():
    junk = jnp.where(MASK[..., None], TEXT, 50.0)
    np.testing.assert_array_equal(run(TINY, TEXT, MASK), run(TINY, junk, MASK))
    assert not np.allclose(run(TINY, TEXT, MASK), run(TINY, TEXT, None), atol=1e-4)


def test_released_wan_attends_its_padding():
    released = dataclasses.replace(TINY, mask_text=False)
    np.testing.assert_array_equal(run(released, TEXT, MASK), run(TINY, TEXT, None))


def test_a_caption_that_is_dropped_whole_is_finite():
    nothing = jnp.zeros_like(MASK)
    got = run(TINY, TEXT, nothing)
    assert np.isfinite(got).all()
    np.testing.assert_array_equal(got, run(TINY, -TEXT, nothing))


def test_no_text_is_an_error():
    with pytest.raises(ConfigError, match="needs text_BLD"):
        run(TINY, None, None)
