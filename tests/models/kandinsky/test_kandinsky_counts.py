"""Kandinsky 5: published numbers of parameters."""

import dataclasses

import pytest
from jax.sharding import AbstractMesh

from videogen.models.kandinsky import flops
from videogen.models.kandinsky.model import make
from videogen.models.kandinsky.sharding import SHARDING
from videogen.models.kandinsky.sizes import PUBLISHED
from videogen.nn.fence import Network
from videogen.parallel.mesh import AXES
from videogen.parallel.rules import tree_shardings

BLOCKS = {
    "kandinsky5_video_lite": 59_668_480,
    "kandinsky5_image_lite": 116_698_112,
    "kandinsky5_video_pro": 306_254_336,
}
# The channels of what is given the other way: on where the release has none.
OTHER = {
    "kandinsky5_video_lite": 2_007_580_992,
    "kandinsky5_image_lite": 6_022_254_656,
    "kandinsky5_video_pro": 19_311_046_720,
}


def sizes(config):
    return {path: x.size for path, x in Network.of(make(config)).abstract().items()}


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_published_size_has_the_published_number_of_parameters(name):
    model = PUBLISHED[name]
    config = model.config
    found = sizes(config)
    assert sum(found.values()) + model.fixed == model.parameters
    blocks = sum(size for path, size in found.items() if path.startswith("blocks."))
    assert blocks == config.depth * BLOCKS[name]
    d, m, t = config.width, config.mlp_width, config.time_dim
    head = 4 * config.head_dim
    assert BLOCKS[name] == 8 * d * d + 8 * d + 2 * d * m + (t + 1) * 9 * d + head
    other = dataclasses.replace(config, given_channels=17 - config.given_channels)
    assert sum(sizes(other).values()) == OTHER[name]


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_published_size_can_be_sharded(name):
    shapes = Network.of(make(PUBLISHED[name].config)).abstract()
    tree_shardings(shapes, SHARDING, AbstractMesh((2, 8, 1, 4), AXES))


def test_flops_of_the_published_shape():
    """At 121 x 512 x 768: 47,616 tokens, 256 text tokens."""
    model = PUBLISHED["kandinsky5_video_lite"]
    shape, n, d = model.latent_FHWC, 31 * 32 * 48, 1792
    assert flops.num_tokens(model.config, shape) == n
    linear = 2 * 32 * (n * 14 * d * d + 256 * 2 * d * d + 9 * 512 * d)
    assert flops.linear_flops(model.config, shape, 256) == linear
    attention = 4 * 32 * n * (n + 256) * d
    assert flops.attention_flops(model.config, shape, 256) == attention
