"""Mochi: its text, its sizes, its signs."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from networks import random_params

from videogen.core.errors import ConfigError
from videogen.models.mochi.config import MochiConfig
from videogen.models.mochi.model import make
from videogen.models.mochi.weights import mochi
from videogen.models.weights import write
from videogen.nn.fence import Network

TINY = MochiConfig(
    **{"latent_channels": 4, "width": 32, "depth": 2, "num_heads": 2, "mlp_width": 64},
    **{"text_dim": 16, "text_width": 16, "text_mlp_width": 24},
)
TEXT = jax.random.normal(jax.random.key(2), (2, 5, 16))
MASK = jnp.array([[1, 1, 1, 0, 0], [1, 0, 0, 0, 0]], bool)


def run(config, text=TEXT, mask=None):
    net = Network.of(make(config))
    latent = jax.random.normal(jax.random.key(1), (2, 2, 4, 6, 4))
    t = jnp.array([0.3, 0.6])
    apply = jax.jit(net.apply)
    return apply(random_params(net), latent, t, text_BLD=text, text_mask_BL=mask)


def test_padding_of_the_text_is_hidden():
    junk = jnp.where(MASK[..., None], TEXT, 50.0)
    np.testing.assert_allclose(run(TINY, mask=MASK), run(TINY, junk, MASK), atol=1e-5)
    assert not np.allclose(run(TINY, mask=MASK), run(TINY), atol=1e-4)


def test_a_caption_that_is_dropped_whole_is_finite():
    nothing = jnp.zeros_like(MASK)
    got = run(TINY, mask=nothing)
    assert np.isfinite(got).all()
    np.testing.assert_allclose(got, run(TINY, -TEXT, nothing), atol=1e-5)


def test_no_text_is_an_error():
    with pytest.raises(ConfigError, match="needs text_BLD"):
        run(TINY, None)


def test_the_output_of_the_release_has_the_other_sign():
    net = Network.of(make(TINY))
    params = random_params(net)
    theirs = write(mochi(TINY), params)
    np.testing.assert_array_equal(
        theirs["proj_out.weight"], -params["proj_out.kernel"].T
    )
    np.testing.assert_array_equal(theirs["proj_out.bias"], -params["proj_out.bias"])


@pytest.mark.parametrize(
    "change, message",
    [
        ({"text_width": 0}, "model.text_width=0"),
        ({"pool_heads": 3}, "model.text_dim=16 .* model.pool_heads=3"),
        ({"position_area": 0.0}, "model.position_area=0.0"),
    ],
)
def test_configs_that_cannot_work_are_named(change, message):
    with pytest.raises(ConfigError, match=message):
        dataclasses.replace(TINY, **change)
