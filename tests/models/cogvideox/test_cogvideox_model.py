"""CogVideoX: what its text, its positions and its patches of two frames do."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from networks import random_params

from videogen.core.errors import ConfigError
from videogen.models.cogvideox.config import CogVideoXConfig
from videogen.models.cogvideox.model import make
from videogen.nn.fence import Network

TINY = CogVideoXConfig(
    **{"latent_channels": 4, "width": 32, "depth": 2, "num_heads": 2, "mlp_width": 64},
    **{"text_dim": 16, "time_dim": 16, "freq_dim": 32},
)
TEXT = jax.random.normal(jax.random.key(2), (2, 5, 16))
MASK = jnp.array([[1, 1, 1, 0, 0], [1, 0, 0, 0, 0]], bool)


def run(config, text=TEXT, mask=None, *, sizes=(2, 4, 6), **conditions):
    net = Network.of(make(config))
    latent = jax.random.normal(jax.random.key(1), (2, *sizes, 4))
    t = jnp.array([0.3, 0.6])
    conditions |= {"text_BLD": text, "text_mask_BL": mask}
    return jax.jit(net.apply)(random_params(net), latent, t, **conditions)


def test_padding_of_the_text_is_hidden():
    junk = jnp.where(MASK[..., None], TEXT, 50.0)
    np.testing.assert_array_equal(run(TINY, mask=MASK), run(TINY, junk, MASK))
    assert not np.allclose(run(TINY, mask=MASK), run(TINY), atol=1e-4)


def test_the_releases_attend_their_padding():
    released = dataclasses.replace(TINY, mask_text=False)
    np.testing.assert_array_equal(run(released, mask=MASK), run(TINY))


def test_a_caption_that_is_dropped_whole_is_finite():
    nothing = jnp.zeros_like(MASK)
    got = run(TINY, mask=nothing)
    assert np.isfinite(got).all()
    np.testing.assert_array_equal(got, run(TINY, -TEXT, nothing))


def test_an_odd_number_of_frames_is_an_error_where_a_token_has_two():
    config = dataclasses.replace(TINY, patch=(2, 2, 2))
    assert run(config, sizes=(4, 4, 6)).shape == (2, 4, 4, 6, 4)
    with pytest.raises(ConfigError, match="frames=3 does not divide by 2 .* 2 or 4"):
        run(config, sizes=(3, 4, 6))


def test_what_a_learned_table_does_not_hold_is_an_error():
    table = {"position_sizes": (2, 2, 3), "position_text": 5}
    config = dataclasses.replace(TINY, **table)
    assert np.isfinite(run(config)).all()
    with pytest.raises(ConfigError, match="4 columns of tokens, .* holds 3"):
        run(config, sizes=(2, 4, 8))
    with pytest.raises(ConfigError, match="10 text tokens, .* holds 5"):
        run(config, jnp.concatenate([TEXT, TEXT], axis=1))


def test_what_is_missing_from_the_batch_is_named():
    with pytest.raises(ConfigError, match="needs text_BLD"):
        run(TINY, None)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"position": "rop"}, "model.position='rop' .*'rope'"),
        ({"rope_split": (4, 4, 4)}, "model.rope_split=.* head dim 16"),
        ({"time_dim": 7}, "model.time_dim=7"),
        ({"position_sizes": (2, 0, 3)}, "model.position_sizes=.*each at least 1"),
        ({"position_text": 5}, "model.position_sizes=.*model.position_text=5"),
    ],
)
def test_configs_that_cannot_work_are_named(change, message):
    with pytest.raises(ConfigError, match=message):
        dataclasses.replace(TINY, **change)
