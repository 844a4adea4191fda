"""Kandinsky 5: what it does with text, its vector and what is given."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from networks import random_params

from videogen.core.errors import ConfigError
from videogen.models.kandinsky.config import KandinskyConfig
from videogen.models.kandinsky.model import make
from videogen.nn.fence import Network

TINY = KandinskyConfig(
    **{"latent_channels": 4, "given_channels": 5, "width": 32, "depth": 1},
    **{"text_depth": 1, "num_heads": 2, "mlp_width": 48, "time_dim": 12},
    **{"text_dim": 10, "pooled_dim": 6, "freq_dim": 16},
)
KEYS = jax.random.split(jax.random.key(1), 4)
LATENT = jax.random.normal(KEYS[0], (2, 3, 4, 6, 4))
TEXT = jax.random.normal(KEYS[1], (2, 5, 10))
POOLED = jax.random.normal(KEYS[2], (2, 6))
GIVEN = jax.random.normal(KEYS[3], (2, 3, 4, 6, 5))
T_B = jnp.array([0.3, 0.6])
MASK = jnp.array([[1, 1, 1, 0, 0], [1, 0, 0, 0, 0]], bool)


def run(config=TINY, *, text=TEXT, pooled=POOLED, **conditions):
    net = Network.of(make(config))
    params = random_params(net)
    return jax.jit(net.apply)(
        *(params, LATENT, T_B, text), pooled_BX=pooled, **conditions
    )


def test_padding_of_the_text_is_as_if_it_were_not_there():
    """The release cuts it off; the refining blocks do not see it either."""
    junk = jnp.where(MASK[..., None], TEXT, 50.0)
    masked = run(text_mask_BL=MASK)
    np.testing.assert_array_equal(masked, run(text=junk, text_mask_BL=MASK))
    np.testing.assert_allclose(masked[:1], run(text=TEXT[:, :3])[:1], atol=1e-5)
    attended = dataclasses.replace(TINY, mask_text=False)
    np.testing.assert_array_equal(run(attended, text_mask_BL=MASK), run())


def test_a_caption_that_is_dropped_whole_is_finite():
    assert np.isfinite(run(text_mask_BL=jnp.zeros_like(MASK))).all()


def test_words_have_an_order_and_the_vector_counts():
    assert not np.allclose(run(), run(text=TEXT[:, ::-1]), atol=1e-3)
    assert not np.allclose(run(), run(pooled=-POOLED), atol=1e-2)


@pytest.mark.usefixtures("optimised")
def test_nothing_given_is_zeros():
    np.testing.assert_array_equal(run(), run(given_BFHWC=jnp.zeros_like(GIVEN)))
    assert not np.allclose(run(), run(given_BFHWC=GIVEN), atol=1e-2)
    with pytest.raises(ConfigError, match="given_channels=5, .* 4 channels"):
        run(given_BFHWC=GIVEN[..., :4])


@pytest.mark.parametrize("name", ["text", "pooled"])
def test_what_is_missing_is_an_error(name):
    with pytest.raises(ConfigError, match=f"needs {name}_"):
        run(**{name: None})


@pytest.mark.parametrize(
    "change, message",
    [
        ({"rope_split": (4, 4, 4)}, r"model.rope_split=\(4, 4, 4\) .* 16"),
        ({"text_depth": 0}, "model.text_depth=0"),
        ({"time_dim": 0}, "model.time_dim=0"),
        ({"pooled_dim": 0}, "model.pooled_dim=0"),
    ],
)
def test_sizes_that_cannot_work_are_named(change, message):
    with pytest.raises(ConfigError, match=message):
        dataclasses.replace(TINY, **change)
