"""The step: pure, deterministic, and unmoved by a gradient that is not finite."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from videogen.diffusion.time import TimeSampler
from videogen.nn.fence import Network
from videogen.train.optimizer import OptimizerConfig, make_optimizer
from videogen.train.state import make_init
from videogen.train.step import Objective, make_train_step

CONFIG = OptimizerConfig(learning_rate=0.1, warmup_steps=0, weight_decay=0.0)


class Scale(nnx.Module):
    """A network of one number: v = a x_t."""

    def __init__(self, rngs):
        self.a = nnx.Param(jnp.zeros((1,)))

    def __call__(self, x_t, t_B, **conditions):
        return self.a[...] * x_t


NETWORK = Network.of(Scale)


def make(seed=0):
    optimizer = make_optimizer(CONFIG)
    objective = Objective(
        network=NETWORK, time=TimeSampler(), normalise=lambda x: x, seed=seed
    )
    state = make_init(NETWORK.init, optimizer)(jax.random.key(0))
    return state, jax.jit(make_train_step(objective, optimizer, CONFIG))


def batch(value=None):
    latent = jax.random.normal(jax.random.key(1), (4, 2, 3, 3, 2))
    return {"latent_BFHWC": latent if value is None else jnp.full_like(latent, value)}


def test_the_same_state_and_batch_give_the_same_step():
    (state, step), (_, other) = make(), make()
    a, b = step(state, batch()), other(state, batch())
    jax.tree.map(np.testing.assert_array_equal, a, b)


def test_steps_differ_in_their_noise():
    state, step = make()
    later = dataclasses.replace(state, step=state.step + 1)
    assert step(state, batch())[1]["loss"] != step(later, batch())[1]["loss"]


def test_learning_lowers_the_loss():
    state, step = make()
    losses = []
    for _ in range(60):
        state, metrics = step(state, batch(0.0))
        losses.append(float(metrics["loss"]))
    # Data is 0, so v = noise = x_t / t; the best constant is E[t] / E[t^2].
    assert np.mean(losses[-10:]) < 0.5 * losses[0]
    assert int(state.step) == 60


def test_a_batch_that_is_not_finite_changes_only_the_step():
    state, step = make()
    state, _ = step(state, batch())
    new, metrics = step(state, batch(jnp.nan))
    assert int(metrics["skipped"]) == 1 and int(new.step) == int(state.step) + 1
    jax.tree.map(
        np.testing.assert_array_equal, dataclasses.replace(new, step=state.step), state
    )


def test_the_average_follows_the_weights():
    state, step = make()
    new, _ = step(state, batch())
    expected = state.ema["a"] + 0.9 * (new.params["a"] - state.ema["a"])
    np.testing.assert_allclose(new.ema["a"], expected, rtol=1e-6)
