"""DiT: its classes, its variance, its positions."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AbstractMesh
from networks import random_params

from videogen.core.errors import ConfigError
from videogen.models.dit.config import DiTConfig
from videogen.models.dit.model import make, position
from videogen.models.dit.sharding import SHARDING
from videogen.nn.fence import Network
from videogen.parallel.mesh import AXES
from videogen.parallel.rules import tree_shardings

TINY = DiTConfig(
    latent_channels=4, width=32, depth=2, num_heads=4, mlp_width=64, num_classes=3
)


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


def test_variance_stands_after_the_prediction():
    whole = run(dataclasses.replace(TINY, out_channels=8), None)
    assert whole.shape == (2, 2, 4, 4, 8)
    assert (abs(whole).mean((0, 1, 2, 3)) > 0.01).all()


def test_positions_of_images_are_columns_then_rows():
    """The formula in float64: per axis sines then cosines of place * 1e4^(-2i / (D/2))."""
    coords = np.array([[0, 3, 7, 0], [5, 3, 7, 0], [0, 7, 3, 0]], np.float32)
    config = dataclasses.replace(TINY, position="sincos_2d")
    got = np.asarray(position(config, coords))
    rates = 1e4 ** (-np.arange(8) / 8)
    row, column = ([f(x * rates) for f in (np.sin, np.cos)] for x in (3.0, 7.0))
    np.testing.assert_allclose(got[0], np.concatenate(column + row), atol=1e-5)
    np.testing.assert_array_equal(got[1], got[0])
    np.testing.assert_array_equal(got[2], np.roll(got[0], 16))


@pytest.mark.parametrize(
    "change, message",
    [
        ({"num_classes": -1}, "model.num_classes=-1"),
        ({"position": "sincos_3d"}, "model.position='sincos_3d' .*'sincos_2d'"),
        ({"out_channels": 0}, "model.out_channels=0"),
        ({"factorised": True, "depth": 3}, "model.depth=3 .* 4 would work"),
        (
            {"position": "sincos_2d", "width": 34, "num_heads": 1},
            "model.width=34 .*'sincos_2d'; 36 would work",
        ),
    ],
)
def test_fields_that_cannot_work_are_named(change, message):
    with pytest.raises(ConfigError, match=message):
        dataclasses.replace(TINY, **change)
