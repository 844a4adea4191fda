"""Cosmos: published numbers of parameters, tokens and FLOPs."""

import pytest
from jax.sharding import AbstractMesh

from videogen.models.cosmos import flops
from videogen.models.cosmos.model import make
from videogen.models.cosmos.sharding import SHARDING
from videogen.models.cosmos.sizes import PUBLISHED
from videogen.nn.fence import Network
from videogen.parallel.mesh import AXES
from videogen.parallel.rules import tree_shardings

BLOCKS = {
    "cosmos1_7b_text2world": 255_853_056,
    "cosmos1_14b_text2world": 393_216_512,
    "cosmos2_2b_video2world": 69_206_528,
    "cosmos2_14b_video2world": 393_216_512,
    "cosmos2_5_2b": 69_206_528,
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_published_size_has_the_published_number_of_parameters(name):
    model = PUBLISHED[name]
    config = model.config
    shapes = Network.of(make(config)).abstract()
    assert sum(leaf.size for leaf in shapes.values()) + model.fixed == model.parameters
    blocks = sum(leaf.size for path, leaf in shapes.items() if "blocks." in path)
    assert blocks == config.depth * BLOCKS[name]
    d, m, k, r = config.width, config.mlp_width, config.kv_dim, config.lora_rank
    head = 4 * config.head_dim
    assert BLOCKS[name] == 6 * d * d + 2 * k * d + 2 * d * m + 12 * r * d + head


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_published_size_can_be_sharded(name):
    shapes = Network.of(make(PUBLISHED[name].config)).abstract()
    tree_shardings(shapes, SHARDING, AbstractMesh((2, 16, 1, 8), AXES))


def test_flops_of_the_published_shape():
    """TFLOP of a forward pass at 121 x 704 x 1280, 56,320 tokens, 512 text tokens."""
    model = PUBLISHED["cosmos1_7b_text2world"]
    shape = model.latent_FHWC
    assert flops.num_tokens(model.config, shape) == 56_320
    assert round(flops.linear_flops(model.config, shape, 512) / 1e12) == 741
    assert round(flops.attention_flops(model.config, shape, 512) / 1e12) == 1468
