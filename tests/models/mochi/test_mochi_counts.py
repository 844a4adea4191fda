"""Mochi-1's published size: parameters, arithmetic, tokens, shardings."""

from jax.sharding import AbstractMesh

from videogen.models.mochi import flops
from videogen.models.mochi.model import make
from videogen.models.mochi.sharding import SHARDING
from videogen.models.mochi.sizes import PUBLISHED
from videogen.nn.fence import Network
from videogen.parallel.mesh import AXES
from videogen.parallel.rules import tree_shardings

MOCHI = PUBLISHED["mochi_1"]


def test_parameters_are_those_of_the_release():
    config = MOCHI.config
    shapes = Network.of(make(config)).abstract()
    count = sum(leaf.size for leaf in shapes.values())
    assert count + MOCHI.fixed == MOCHI.parameters
    blocks, last = (
        sum(leaf.size for path, leaf in shapes.items() if path.startswith(prefix))
        for prefix in ("blocks.", "last_blocks.")
    )
    d, m = config.width, config.mlp_width
    e, f = config.text_width, config.text_mlp_width
    video = 4 * d * d + 4 * d + 3 * d * d + d * d + d + 3 * d * m
    attention = 3 * d * e + 4 * config.head_dim
    text = 4 * d * e + 4 * e + d * e + e + 3 * e * f
    assert blocks == (config.depth - 1) * (video + attention + text)
    assert last == video + attention + d * e + e
    assert (blocks, last) == (47 * 207_641_600, 169_886_720)


def test_flops_of_the_published_shape():
    """44520 tokens are published; 485 + 1183 TFLOP of a forward pass."""
    config, shape, text = MOCHI.config, MOCHI.latent_FHWC, MOCHI.text_tokens
    assert flops.num_tokens(config, shape) == 44_520
    assert round(flops.linear_flops(config, shape, text) / 1e12) == 485
    assert round(flops.attention_flops(config, shape, text) / 1e12) == 1183


def test_it_has_a_sharding():
    shapes = Network.of(make(MOCHI.config)).abstract()
    shardings = tree_shardings(shapes, SHARDING, AbstractMesh((2, 4, 1, 2), AXES))
    assert shardings.keys() == shapes.keys()
