"""Cosmos-Predict1, 2 and 2.5 against diffusers: outputs, gradients, weights both ways."""

import numpy as np
import pytest
from parity.harness import check_parity, drawing

from videogen.models.cosmos import weights

pytestmark = pytest.mark.parity
T_B = np.array([-1.3, 0.3127, 1.0], np.float32)


@pytest.fixture(scope="module")
def cosmos():
    from parity.twins import cosmos

    return cosmos


# No two sizes of a grid are equal; head dims of odd thirds, with a rest.
@pytest.mark.parametrize(
    "head_dim, patch, sizes",
    [(14, (1, 2, 2), (3, 8, 10)), (24, (1, 1, 3), (2, 5, 9))],
)
def test_predict1(cosmos, head_dim, patch, sizes):
    check_parity(cosmos.predict1(sizes, head_dim, patch), T_B)


def test_predict2(cosmos):
    """A time per frame."""
    t_BF = drawing()(3, 3) % 1
    t_BF[:, 0] = 1e-4
    check_parity(cosmos.predict2(), t_BF)


def test_predict2_5(cosmos):
    check_parity(cosmos.predict2_5(), T_B)


def test_the_authors_names_of_predict2_cover_every_parameter(cosmos):
    """The same table of shapes by diffusers' converter's names: see its source."""
    twin = cosmos.predict2_5()
    keys = weights.predict2(twin.config).their_shapes(twin.shapes)
    assert len(keys) == len(twin.table.their_shapes(twin.shapes))
    config, width = twin.config, twin.config.width
    assert keys["net.blocks.1.self_attn.q_norm.weight"] == (config.head_dim,)
    assert keys["net.blocks.0.adaln_modulation_mlp.2.weight"] == (3 * width, 6)
    assert keys["net.blocks.0.cross_attn.output_proj.weight"] == (width, width)
    assert keys["net.x_embedder.proj.1.weight"] == (width, 24)
    assert keys["net.t_embedder.1.linear_2.weight"] == (3 * width, width)
    assert keys["net.t_embedding_norm.weight"] == (width,)
    assert keys["net.final_layer.adaln_modulation.1.weight"] == (6, width)
