"""DiT: its published sizes and arithmetic, and its classes."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AbstractMesh
from networks import random_params

from videogen.core.errors import ConfigError
from videogen.models.dit.config import DiTConfig, dit_xl_2
from videogen.models.dit.flops import forward_flops
from videogen.models.dit.model import make
from videogen.models.dit.sharding import SHARDING
from videogen.nn.fence import Network
from videogen.parallel.mesh import AXES
from videogen.parallel.rules import tree_shardings

TINY = DiTConfig(
    latent_channels=4, width=32, depth=2, num_heads=4, mlp_width=64, num_classes=3
)


def test_xl_2_has_the_published_number_of_parameters():
    """Published: 674,834,720 trainable, of which our output has no variance half."""
    config = dit_xl_2()
    shapes = Network.of(make(config)).abstract()
    d = config.width
    variance_half = 16 * d + 16
    total = sum(leaf.size for leaf in shapes.values())
    assert total == 674_834_720 - variance_half
    blocks = sum(leaf.size for path, leaf in shapes.items() if "blocks." in path)
    assert blocks == 28 * 23_905_152 == 28 * (18 * d * d + 15 * d)


@pytest.mark.parametrize("size, published", [(32, 118.60), (64, 524.48)])
def test_flops_of_published_shapes(size, published):
    """The paper's Gflops are multiply-adds; ours also count the conditions' layers."""
    macs = forward_flops(dit_xl_2(), (1, size, size, 4)) / 2
    assert macs / 1e9 == pytest.approx(published, rel=2e-4)


def run(config, label):
    net = Network.of(make(config))
    params = random_params(net)
    latent = jax.random.normal(jax.random.key(1), (2, 2, 4, 4, 4))
    return jax.jit(net.apply)(params, latent, jnp.array([0.3, 0.6]), label_B=label)


def test_minus_one_and_no_labels_are_the_null_class():
    null = run(TINY, jnp.array([-1, -1]))
    np.testing.assert_array_equal(run(TINY, None), null)
    got = run(TINY, jnp.array([0, -1]))
    assert not np.allclose(got[0], null[0], atol=1e-4)
    np.testing.assert_allclose(got[1], null[1], atol=1e-6)


def test_unconditional_has_no_table_ignores_labels_and_shards():
    config = dataclasses.replace(TINY, num_classes=0)
    labels = jnp.array([0, 1])
    np.testing.assert_array_equal(run(config, None), run(config, labels))
    shapes = Network.of(make(config)).abstract()
    assert not any("class" in path for path in shapes)
    tree_shardings(shapes, SHARDING, AbstractMesh((1, 2, 1, 2), AXES))


def test_negative_number_of_classes():
    with pytest.raises(ConfigError, match="model.num_classes=-1"):
        dataclasses.replace(TINY, num_classes=-1)
