"""Cosmos: what it does with time, text and what is given."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from networks import random_params

from videogen.core.errors import ConfigError
from videogen.models.cosmos.config import CosmosConfig
from videogen.models.cosmos.model import make
from videogen.nn.fence import Network

TINY = CosmosConfig(
    **{"latent_channels": 4, "given_channels": 2, "width": 32, "depth": 1},
    **{"num_heads": 2, "mlp_width": 48, "text_dim": 12, "freq_dim": 16, "lora_rank": 3},
    base_fps=24.0,
)
KEYS = jax.random.split(jax.random.key(1), 3)
LATENT = jax.random.normal(KEYS[0], (2, 3, 4, 6, 4))
TEXT = jax.random.normal(KEYS[1], (2, 5, 12))
GIVEN = jax.random.normal(KEYS[2], (2, 3, 4, 6, 2))
T_B = jnp.array([0.3, 0.6])


def run(config=TINY, *, t=T_B, text=TEXT, **conditions):
    net = Network.of(make(config))
    return jax.jit(net.apply)(random_params(net), LATENT, t, text, **conditions)


def test_frames_turn_by_seconds():
    """At base_fps they are numbers; twice the rate halves every distance in time."""
    numbers = run(fps_B=jnp.full((2,), 24.0))
    np.testing.assert_allclose(numbers, run(), atol=1e-5)
    assert not np.allclose(run(fps_B=jnp.array([24.0, 48.0]))[1], numbers[1], atol=1e-3)
    by_number = dataclasses.replace(TINY, base_fps=0.0)
    got = run(by_number, fps_B=jnp.array([24.0, 48.0]))
    np.testing.assert_allclose(got, numbers, atol=1e-5)


def test_nothing_given_is_zeros():
    np.testing.assert_array_equal(run(), run(given_BFHWC=jnp.zeros_like(GIVEN)))
    assert not np.allclose(run(), run(given_BFHWC=GIVEN), atol=1e-2)
    with pytest.raises(ConfigError, match="given_channels=2, .* 1 channels"):
        run(given_BFHWC=GIVEN[..., :1])


def test_one_time_is_that_time_at_every_token():
    t_BN = jnp.broadcast_to(T_B[:, None], (2, 18))
    np.testing.assert_allclose(run(t=t_BN), run(), atol=1e-5)


def test_padding_of_the_text_is_hidden_unless_released():
    mask = jnp.array([[1, 1, 1, 0, 0], [1, 0, 0, 0, 0]], bool)
    junk = jnp.where(mask[..., None], TEXT, 50.0)
    masked = run(text_mask_BL=mask)
    np.testing.assert_array_equal(masked, run(text=junk, text_mask_BL=mask))
    released = dataclasses.replace(TINY, mask_text=False)
    np.testing.assert_array_equal(run(released, text_mask_BL=mask), run())


def test_a_latent_beyond_the_learned_positions_is_an_error():
    small = dataclasses.replace(TINY, position_sizes=(2, 2, 3))
    with pytest.raises(ConfigError, match="3 frames .* model.position_sizes"):
        run(small, fps_B=jnp.full((2,), 24.0))


def test_no_text_is_an_error():
    with pytest.raises(ConfigError, match="needs text_BLD"):
        run(text=None)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"position_sizes": (4, 0, 4)}, r"model.position_sizes=\(4, 0, 4\)"),
        ({"lora_rank": 0}, "model.lora_rank=0"),
        ({"text_dim": 0}, "model.text_dim=0"),
    ],
)
def test_sizes_that_cannot_work_are_named(change, message):
    with pytest.raises(ConfigError, match=message):
        dataclasses.replace(TINY, **change)
