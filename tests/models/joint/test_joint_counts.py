"""Published sizes: parameters, block by block, arithmetic, shardings."""

import pytest
from jax.sharding import AbstractMesh

from videogen.models.joint import flops
from videogen.models.joint.model import make
from videogen.models.joint.sharding import SHARDING
from videogen.models.joint.sizes import PUBLISHED, hunyuan_video
from videogen.nn.fence import Network
from videogen.parallel.mesh import AXES
from videogen.parallel.rules import tree_shardings

each_model = pytest.mark.parametrize("name", PUBLISHED)


def shapes_of(config):
    return Network.of(make(config)).abstract()


def size(shapes, prefix):
    return sum(leaf.size for path, leaf in shapes.items() if path.startswith(prefix))


@pytest.mark.parametrize(
    "name", [name for name, row in PUBLISHED.items() if row.status == "exact"]
)
def test_published_sizes_have_the_published_number_of_parameters(name):
    published = PUBLISHED[name]
    shapes = shapes_of(published.config)
    assert size(shapes, "") + published.fixed == published.parameters


@each_model
def test_blocks_have_the_number_of_the_closed_form(name):
    config = PUBLISHED[name].config
    shapes, d, e = shapes_of(config), config.width, config.head_dim
    dual, single = 36 * d * d + 30 * d + 4 * e, 15 * d * d + 11 * d + 2 * e
    assert size(shapes, "transformer_blocks.") == config.depth * dual
    assert size(shapes, "single_transformer_blocks.") == config.single_depth * single


def test_the_refiner_of_hunyuan_video():
    refiner = "condition_embedder.context_embedder."
    assert size(shapes_of(hunyuan_video()), refiner) == 309_175_296


@pytest.mark.parametrize(
    "name, latent, linear, attention",
    [
        ("hunyuan_video", (33, 68, 120, 16), 918, 3367),
        ("hunyuan_video", (33, 90, 160, 16), 1618, 10450),
        ("open_sora_2", (33, 32, 32, 16), 116, 56),
        ("open_sora_2", (33, 72, 128, 16), 988, 4104),
    ],
)
def test_flops_of_published_shapes(name, latent, linear, attention):
    """TFLOP of a forward pass."""
    config, text = PUBLISHED[name].config, PUBLISHED[name].text_tokens
    assert round(flops.linear_flops(config, latent, text) / 1e12) == linear
    assert round(flops.attention_flops(config, latent, text) / 1e12) == attention


@each_model
def test_every_leaf_has_a_rule_and_every_rule_a_leaf(name):
    mesh = AbstractMesh((1, 4, 2, 8), AXES)
    tree_shardings(shapes_of(PUBLISHED[name].config), SHARDING, mesh)
