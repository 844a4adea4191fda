"""The loss of packed rows is that of their clips, and padding has none."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from videogen.diffusion.loss import Target
from videogen.diffusion.objective import ObjectiveConfig
from videogen.diffusion.time import TimeSampler
from videogen.nn.fence import Network
from videogen.nn.pack import of_tokens, places
from videogen.train.packed import PackedObjective

GRIDS = jnp.array([[(1, 2, 3), (2, 2, 1)], [(1, 1, 4), (0, 0, 0)]])
N, CHANNELS, PATCH = 12, 3, (1, 1, 2)


class Constant(nnx.Module):
    """Predicts, of every token, a number times what its clip is told of its time."""

    def __init__(self, rngs):
        self.a = nnx.Param(jnp.ones((1,)))

    def packed(self, z_BNP, told_BR, grid_BR3, text_BLD, text_segments_BL, fps_BR):
        segments_BN, _ = places(grid_BR3, z_BNP.shape[1])
        told_BN = of_tokens(told_BR, segments_BN)
        return self.a[...] * told_BN[..., None] * jnp.ones_like(z_BNP)


def batch(padding=0.0):
    tokens_BNP = jax.random.normal(jax.random.key(0), (2, N, 2 * CHANNELS))
    segments_BN, _ = places(GRIDS, N)
    used_BN = segments_BN <= jnp.array([[2], [1]])
    return {
        "tokens_BNP": jnp.where(used_BN[..., None], tokens_BNP, padding),
        "grid_BR3": GRIDS,
        "text_BLD": jnp.zeros((2, 4, 5)),
        "text_segments_BL": jnp.zeros((2, 4), jnp.int32),
        "fps_BR": jnp.ones((2, 2)),
    }


def loss(batch, **parts):
    fields = {"time": TimeSampler(), "target": Target(), **parts}
    network = Network.of(Constant)
    objective = PackedObjective(
        network=network,
        normalise=lambda x: x * jnp.arange(1.0, 1 + CHANNELS),
        seed=0,
        channels=CHANNELS,
        patch=PATCH,
        **fields,
    )
    return objective(network.init(jax.random.key(0)), batch, jnp.int32(3))


def test_padding_changes_nothing():
    np.testing.assert_array_equal(loss(batch()), loss(batch(padding=1e6)))


def test_channels_are_normalised_within_patches():
    """Data of 1 / (1, 2, 3) along channels is of ones to the network."""
    scale = jnp.tile(1.0 / jnp.arange(1.0, 1 + CHANNELS), 2)
    values = batch()
    data = Target(ObjectiveConfig(predict="data"))
    ones = values | {"tokens_BNP": jnp.ones_like(values["tokens_BNP"]) * scale}
    early = TimeSampler(kind="uniform", clamp=(0.999999, 1.0))
    assert loss(ones, target=data, time=early) == pytest.approx(0, abs=1e-6)


def test_clips_are_shifted_by_their_own_tokens():
    """The network is told each clip's time: of data 0 and noise 1 the loss shows it."""
    plain = TimeSampler(kind="uniform")
    shifted = TimeSampler(kind="uniform", shift_rule="sqrt", shift_tokens=(6, 7))
    assert loss(batch(), time=plain) != loss(batch(), time=shifted)
    grid = np.array([6, 4, 4])
    expected = np.sqrt(grid / 6)
    f, h, w = jnp.array([1, 2, 1]), jnp.array([2, 2, 1]), jnp.array([3, 1, 4])
    np.testing.assert_allclose(shifted.shift_at((f, h, w), f), expected, rtol=1e-6)
