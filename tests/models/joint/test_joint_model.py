"""What the network makes of its conditions: padding, images, clean frames, and their lack."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from networks import random_params

from videogen.core.errors import ConfigError
from videogen.models.joint.conditions import masked_mean
from videogen.models.joint.config import JointConfig
from videogen.models.joint.model import make
from videogen.nn.fence import Network
from videogen.ops.attention.api import AttentionPlan
from videogen.ops.attention.patterns import Spatial

SIZES = {"latent_channels": 4, "width": 16, "depth": 1, "num_heads": 2, "mlp_width": 24}
TINY = JointConfig(**SIZES, single_depth=1, text_dim=8, refiner_depth=1, pooled_dim=6)
MANY = dataclasses.replace(
    TINY,
    single_depth=0,
    pooled_dim=0,
    more_text_dims=(5,),
    image_dim=7,
    more_text_width=9,
)
TEXT = jax.random.normal(jax.random.key(2), (2, 5, 8))
MASK = jnp.array([[1, 1, 1, 0, 0], [1, 0, 0, 0, 0]], bool)
POOLED = jax.random.normal(jax.random.key(3), (2, 6))
GLYPHS = jax.random.normal(jax.random.key(4), (2, 3, 5))
IMAGE = jax.random.normal(jax.random.key(5), (2, 4, 7))
LATENT = jax.random.normal(jax.random.key(1), (2, 2, 4, 4, 4))
T_B = jnp.array([0.3, 0.6])


@functools.cache
def compiled(config):
    net = Network.of(make(config))
    return jax.jit(functools.partial(net.apply, random_params(net)))


def run(config, text=TEXT, mask=MASK, t=T_B, **conditions):
    if config.pooled_dim:
        conditions.setdefault("pooled_BX", POOLED)
    return compiled(config)(LATENT, t, text, mask, **conditions)


def test_padding_of_the_text_is_hidden():
    junk = jnp.where(MASK[..., None], TEXT, 50.0)
    np.testing.assert_array_equal(run(TINY), run(TINY, junk))
    cut = run(TINY, TEXT[:, :3], MASK[:, :3])
    np.testing.assert_allclose(run(TINY), cut, atol=1e-4)
    assert not np.allclose(run(TINY), run(TINY, mask=None), atol=1e-2)


def test_released_open_sora_attends_its_padding():
    released = dataclasses.replace(TINY, mask_text=False)
    np.testing.assert_array_equal(run(released), run(TINY, mask=None))


def test_a_caption_that_is_dropped_whole_is_finite():
    nothing = jnp.zeros_like(MASK)
    got = run(TINY, mask=nothing)
    assert np.isfinite(got).all()
    np.testing.assert_array_equal(got, run(TINY, -TEXT, nothing))


def test_the_mean_of_what_is_there():
    mask = jnp.array([[1, 1, 1, 0, 0], [0] * 5], bool)
    want = [TEXT[0, :3].mean(0), jnp.zeros(8)]
    np.testing.assert_allclose(masked_mean(TEXT, mask), jnp.stack(want), atol=1e-6)
    np.testing.assert_allclose(masked_mean(TEXT, None), TEXT.mean(1), atol=1e-6)


def test_an_image_of_zeros_is_no_image():
    """Sample by sample."""
    half = IMAGE.at[1].set(0.0)
    with_image, without = run_many(image_BLX=IMAGE), run_many()
    got = run_many(image_BLX=half)
    np.testing.assert_allclose(got[0], with_image[0], atol=1e-5)
    np.testing.assert_allclose(got[1], without[1], atol=1e-5)
    assert not np.allclose(with_image, without, atol=1e-2)


def run_many(**conditions):
    return run(
        MANY, text2_BLX=GLYPHS, text2_mask_BL=jnp.ones((2, 3), bool), **conditions
    )


def test_further_text_may_be_masked_away():
    nothing = jnp.zeros((2, 3), bool)
    one, other = (
        run(MANY, text2_BLX=x, text2_mask_BL=nothing) for x in (GLYPHS, -GLYPHS)
    )
    np.testing.assert_array_equal(one, other)
    assert not np.allclose(one, run_many(), atol=1e-3)


def test_clean_tokens_are_those_of_frame_0():
    """At t = 0 they are like all others; else the time of the others is not theirs."""
    clean = dataclasses.replace(TINY, clean_first_frame=True)
    zero = jnp.zeros(2)
    np.testing.assert_allclose(run(clean, t=zero), run(TINY, t=zero), atol=1e-4)
    assert not np.allclose(run(clean), run(TINY), atol=1e-2)


def test_a_pattern_is_an_error():
    with pytest.raises(ConfigError, match="attends all of video and text; Spatial"):
        make(TINY, AttentionPlan(pattern=Spatial()))


GIVEN = jax.random.normal(jax.random.key(6), (2, 2, 4, 4, 3))


@pytest.mark.parametrize(
    "config, conditions, message",
    [
        (TINY, {"text": None}, "needs text_BLD"),
        (TINY, {"pooled_BX": None}, "model.pooled_dim=6 needs pooled_BX"),
        (
            dataclasses.replace(TINY, guidance=True),
            {},
            "guidance=True needs guidance_B",
        ),
        (MANY, {}, "more_text_dims needs text2_BLX"),
        (
            TINY,
            {"given_BFHWC": GIVEN},
            "given_channels=0, but given_BFHWC in the batch",
        ),
    ],
)
def test_what_is_missing_is_named(config, conditions, message):
    with pytest.raises(ConfigError, match=message):
        run(config, **conditions)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"text_projection": "liner"}, "text_projection='liner' .*'linear'"),
        ({"single_depth": -1}, "single_depth=-1 must be at least 0"),
        ({"refiner_depth": 0}, "refiner_depth=0 must be at least 1"),
        ({"rope_split": (2, 2, 2)}, r"rope_split=\(2, 2, 2\) must sum to .* 8"),
        ({"given_embedder": True}, "given_embedder=True needs model.given_channels"),
    ],
)
def test_fields_that_cannot_work_are_named(change, message):
    with pytest.raises(ConfigError, match=message) as error:
        dataclasses.replace(TINY, **change)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("embedder", [False, True])
def test_what_is_given_counts(embedder):
    config = dataclasses.replace(TINY, given_channels=3, given_embedder=embedder)
    one, other = (run(config, given_BFHWC=x) for x in (GIVEN, -GIVEN))
    assert not np.allclose(one, other, atol=1e-2)
