"""Tasks: which frames are given, in which share, and how a network sees them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from videogen.core.errors import ConfigError
from videogen.diffusion.tasks import NAMES, TaskMix

KEY = jax.random.key(0)


def only(name):
    return TaskMix(**{x: float(x == name) for x in NAMES})


def test_what_each_task_gives():
    rows = {name: np.asarray(only(name).given(KEY, 64, 6)) for name in NAMES}
    assert not rows["t2v"].any()
    np.testing.assert_array_equal(rows["i2v"], [[1, 0, 0, 0, 0, 0]] * 64)
    np.testing.assert_array_equal(rows["keyframes"], [[1, 0, 0, 0, 0, 1]] * 64)
    for name, turned in (("forward", 1), ("backward", -1)):
        given = rows[name][:, ::turned]
        assert set(given.sum(1)) == {1, 2, 3}
        assert (np.diff(given.astype(int), axis=1) <= 0).all()  # the first ones


def test_shares_are_the_weights():
    mix = TaskMix(t2v=2.0, i2v=1.0, keyframes=1.0)
    count = np.asarray(mix.given(KEY, 20_000, 5)).sum(1)
    shares = np.bincount(count) / len(count)
    np.testing.assert_allclose(shares, [0.5, 0.25, 0.25], atol=0.02)


def test_an_image_is_given_nothing():
    assert not only("i2v").given(KEY, 4, 1).any()


@pytest.mark.parametrize("mask_first", (True, False))
def test_channels_hold_the_given_frames_and_their_mask(mask_first):
    x_0 = jax.random.normal(KEY, (2, 3, 2, 2, 4))
    given_BF = jnp.array([[1, 0, 0], [0, 0, 0]], bool)
    beside = np.asarray(TaskMix(mask_first=mask_first).beside(x_0, given_BF, 6))
    mask, latent = (
        (beside[..., :2], beside[..., 2:])
        if mask_first
        else (beside[..., 4:], beside[..., :4])
    )
    np.testing.assert_array_equal(mask[0, 0], 1)
    np.testing.assert_array_equal(latent[0, 0], x_0[0, 0])
    assert not beside[0, 1:].any() and not beside[1].any()


@pytest.mark.parametrize(
    "fields, message",
    [
        ({"i2v": -1.0}, "tasks.i2v=-1.0"),
        ({"t2v": 0.0}, "all weights are 0"),
        ({"how": "chanels"}, "did you mean 'channels'"),
    ],
)
def test_bad_mixes_are_one_line(fields, message):
    with pytest.raises(ConfigError, match=message):
        TaskMix(**fields)
