"""MAGI-1: chunks see no later chunk, a time of their own, captions that are dropped."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from networks import random_params

from videogen.core.errors import ConfigError
from videogen.models.magi.config import MagiConfig
from videogen.models.magi.model import make
from videogen.nn.fence import Network

TINY = MagiConfig(
    latent_channels=4,
    width=32,
    depth=2,
    num_heads=4,
    num_kv_heads=2,
    mlp_width=64,
    text_dim=16,
    condition_dim=24,
    null_tokens=8,
    null_attended=3,
    chunk=2,
)
LATENT = jax.random.normal(jax.random.key(1), (2, 5, 4, 4, 4))
TEXT = jax.random.normal(jax.random.key(2), (2, 6, 16))
MASK = jnp.array([[1, 1, 1, 0, 0, 0], [1, 1, 1, 1, 1, 1]], bool)
T_BN = jnp.full((2, 20), 0.6)  # 4 tokens a frame
NET = Network.of(make(TINY))
PARAMS = random_params(NET)
apply = jax.jit(NET.apply)


def run(latent=LATENT, t=T_BN, text=TEXT, mask=MASK, params=PARAMS):
    return apply(params, latent, t, text_BLD=text, text_mask_BL=mask)


def test_a_later_chunk_changes_nothing_earlier():
    changed = LATENT.at[:, 2:].add(
        jax.random.normal(jax.random.key(3), (2, 3, 4, 4, 4))
    )
    got, want = run(changed), run()
    np.testing.assert_array_equal(got[:, :2], want[:, :2])
    assert not np.allclose(got[:, 2:4], want[:, 2:4], atol=1e-2)
    later_time = run(t=T_BN.at[:, 16:].set(0.9))
    np.testing.assert_array_equal(later_time[:, :4], want[:, :4])
    assert not np.allclose(later_time[:, 4:], want[:, 4:], atol=1e-2)


def test_an_earlier_chunk_and_the_rest_of_its_own_are_seen():
    want = run()
    earlier = run(LATENT.at[:, 0].add(1.0))
    for frame in range(5):
        assert not np.allclose(earlier[:, frame], want[:, frame], atol=1e-2)
    own = run(LATENT.at[:, 3].add(1.0))
    np.testing.assert_array_equal(own[:, :2], want[:, :2])
    assert not np.allclose(own[:, 2], want[:, 2], atol=1e-2)


def test_without_chunks_all_see_all():
    net = Network.of(make(dataclasses.replace(TINY, chunk=0)))
    whole = jax.jit(net.apply)
    got, want = (
        whole(PARAMS, x, T_BN, text_BLD=TEXT)
        for x in (LATENT.at[:, 4].add(1.0), LATENT)
    )
    assert not np.allclose(got[:, 0], want[:, 0], atol=1e-2)


def test_one_time_for_a_video_is_that_time_for_every_token():
    np.testing.assert_allclose(run(t=jnp.full((2,), 0.6)), run(), atol=1e-5)


def test_padding_of_the_text_is_hidden():
    junk = jnp.where(MASK[..., None], TEXT, 50.0)
    np.testing.assert_array_equal(run(text=junk), run())


def test_a_dropped_caption_is_the_learned_one():
    nothing = MASK.at[0].set(False)
    got = run(mask=nothing)
    np.testing.assert_array_equal(got, run(text=TEXT.at[0].set(7.0), mask=nothing))
    np.testing.assert_array_equal(got[1], run()[1])
    path = "condition_embedder.null_text"
    for row, matters in ((2, True), (3, False), (-2, False), (-1, True)):
        other = run(mask=nothing, params=PARAMS | {path: PARAMS[path].at[row].add(1.0)})
        assert np.allclose(other[0], got[0], atol=1e-3) != matters, row


def test_a_caption_tells_the_gates_that_it_is_there():
    path = "condition_embedder.null_text"
    other = run(params=PARAMS | {path: PARAMS[path].at[-2].add(1.0)})
    assert not np.allclose(other, run(), atol=1e-3)


def test_text_is_needed_and_not_too_long():
    with pytest.raises(ConfigError, match="needs text_BLD"):
        run(text=None, mask=None)
    with pytest.raises(ConfigError, match="null_tokens=8 for texts of 9"):
        run(text=jnp.zeros((2, 9, 16)), mask=None)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"num_kv_heads": 3}, "model.num_kv_heads=3 does not divide"),
        ({"num_heads": 8}, "heads of 4, of which no rotary band fits"),
        ({"chunk": 3, "patch": (2, 2, 2)}, "model.chunk=3 latent frames"),
        ({"mlp": "swigl"}, "model.mlp='swigl' .*'swiglu'"),
        ({"null_tokens": 1}, "model.null_tokens=1"),
        ({"condition_dim": 0}, "model.condition_dim=0"),
    ],
)
def test_sizes_that_cannot_work_are_named(change, message):
    with pytest.raises(ConfigError, match=message) as error:
        dataclasses.replace(TINY, **change)
    assert "\n" not in str(error.value)
