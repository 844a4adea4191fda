"""CogVideoX's published sizes: parameters, arithmetic, tokens, shardings."""

import pytest
from jax.sharding import AbstractMesh

from videogen.models.cogvideox import flops
from videogen.models.cogvideox.model import make
from videogen.models.cogvideox.sharding import SHARDING
from videogen.models.cogvideox.sizes import PUBLISHED
from videogen.nn.fence import Network
from videogen.parallel.mesh import AXES
from videogen.parallel.rules import tree_shardings


@pytest.mark.parametrize("name", PUBLISHED)
def test_parameters_are_those_of_the_release(name):
    published = PUBLISHED[name]
    config = published.config
    shapes = Network.of(make(config)).abstract()
    count = sum(leaf.size for leaf in shapes.values())
    assert count + published.fixed == published.parameters
    blocks = sum(leaf.size for path, leaf in shapes.items() if "blocks." in path)
    d, t = config.width, config.time_dim
    block = 12 * d * d + 9 * d + 4 * config.head_dim + 2 * (t * 6 * d + 8 * d)
    assert blocks == config.depth * block
    assert block == {1920: 56_081_536, 3072: 132_197_632}[d]


@pytest.mark.parametrize(
    "name, tokens, linear, attention",
    [("cogvideox_2b", 17_550, 47, 73), ("cogvideox_5b", 17_550, 169, 163)],
)
def test_flops_of_published_shapes(name, tokens, linear, attention):
    """TFLOP of a forward pass of 49 frames at 480p."""
    published = PUBLISHED[name]
    config, shape = published.config, published.latent_FHWC
    assert flops.num_tokens(config, shape) == tokens
    tera = flops.linear_flops(config, shape, published.text_tokens) / 1e12
    assert abs(tera - linear) < 1
    tera = flops.attention_flops(config, shape, published.text_tokens) / 1e12
    assert abs(tera - attention) < 1


@pytest.mark.parametrize("name", PUBLISHED)
def test_every_size_has_a_sharding(name):
    shapes = Network.of(make(PUBLISHED[name].config)).abstract()
    shardings = tree_shardings(shapes, SHARDING, AbstractMesh((2, 4, 1, 2), AXES))
    assert shardings.keys() == shapes.keys()
