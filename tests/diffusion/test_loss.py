"""Losses of published objectives: as written in the papers, and zero at the optimum."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from paper_losses import LEVELS, PAPERS, STEPS, of_step

from videogen.core.errors import ConfigError
from videogen.diffusion.loss import Target
from videogen.diffusion.objective import ObjectiveConfig
from videogen.diffusion.published import PUBLISHED

RNG = np.random.default_rng(0)
X, N = RNG.standard_normal((2, 4, 2, 3, 3, 2))
TURNED = ("mochi", "magi")  # to noise - data, of our time: in their networks, here
VARIANCE = ("dit", "latte")
ROWS = [name for name in PAPERS if name not in VARIANCE]


def network(library):
    """A function of z and of what is told that is no optimum of anything."""

    def predict(z, told):
        told = told.reshape(told.shape + (1,) * (z.ndim - told.ndim))
        return 0.5 * z + library.cos(3 * told) + 0.1 * z**2

    return predict


def two_channels_of(predict, library):
    def both(z, told):
        y = predict(z, told)
        return library.concatenate([y, library.tanh(2 * y)], axis=-1)

    return both


def loss_of(target, predict, u, x=X):
    arrays = [jnp.asarray(a, jnp.float32) for a in (x, N, u)]
    return np.asarray(target.loss(predict, *arrays))


def turned(predict):
    """As a network that is told 1 - t and says the negative."""
    return lambda z, told: -predict(z, 1 - told)


@pytest.mark.parametrize("name", ROWS)
def test_the_loss_is_the_papers(name):
    paper, levels, u_of = PAPERS[name]
    want = paper(network(np), X, N, levels)
    predict, config = network(jnp), PUBLISHED[name].objective
    if name in TURNED:
        predict = turned(predict)
    if config.told_scale != 1:  # of SiT, which takes time as it is, not a thousandfold
        plain = predict

        def predict(z, told):
            return plain(z, told / config.told_scale)

    got = loss_of(Target(config), predict, u_of(levels))
    np.testing.assert_allclose(got, want, rtol=5e-5)


@pytest.mark.parametrize("name", VARIANCE)
def test_the_loss_of_a_learned_variance_is_the_papers(name):
    x = np.clip(X, -1, 1)  # bins end at -1 and 1
    steps = np.array([0, 1, 300, 999])
    paper, _, of_step = PAPERS[name]
    want = paper(two_channels_of(network(np), np), x, N, steps)
    predict = two_channels_of(network(jnp), jnp)
    got = loss_of(Target(PUBLISHED[name].objective), predict, of_step(steps), x)
    np.testing.assert_allclose(got, want, rtol=2e-4)


def test_every_published_objective_is_tested():
    assert PAPERS.keys() == PUBLISHED.keys()


def knowing(target, x):
    """The optimum when all data is x."""

    def predict(z, told, u):
        p = target.prediction(u, z)
        y = p.target(x, (z - p.alpha * x) / p.sigma)
        return jnp.concatenate([y, -jnp.ones_like(y)], axis=-1)

    return predict


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_optimum_has_no_loss(name):
    target = Target(PUBLISHED[name].objective)
    x, n = (jnp.asarray(a, jnp.float32) for a in (X, N))
    u = jnp.asarray(of_step(STEPS), jnp.float32)

    def predict(z, told):
        return knowing(target, x)(z, told, u)

    np.testing.assert_allclose(target.error(predict, x, n, u), 0, atol=1e-9)
    # With beta~ for its variance, the reverse step is the posterior too.
    np.testing.assert_allclose(target.loss(predict, x, n, u), 0, atol=1e-4)


def test_no_gradient_of_the_bound_flows_through_its_mean():
    config = PUBLISHED["dit"].objective
    x, n = (jnp.asarray(a, jnp.float32) for a in (X, N))
    u = jnp.asarray(of_step(STEPS), jnp.float32)

    def loss(shift, config):
        def predict(z, told):
            y = network(jnp)(z, told)
            return jnp.concatenate([y + shift, 0 * y], axis=-1)

        return jnp.mean(Target(config).loss(predict, x, n, u))

    alone = dataclasses.replace(config, learn_sigma=False)
    gradients = [jax.grad(loss)(0.3, each) for each in (config, alone)]
    np.testing.assert_allclose(*gradients, rtol=1e-5)
    assert loss(0.3, config) > loss(0.3, alone)


def test_channels_beyond_the_latents_are_ignored():
    target = Target(PUBLISHED["open_sora_1_2"].objective)
    one = loss_of(target, network(jnp), LEVELS)
    both = loss_of(target, two_channels_of(network(jnp), jnp), LEVELS)
    np.testing.assert_array_equal(one, both)


def test_a_network_of_other_channels_is_refused():
    with pytest.raises(ConfigError, match="predicts 1 channels of 2-channel"):
        loss_of(Target(), lambda z, told: z[..., :1], LEVELS)
    with pytest.raises(ConfigError, match="learn_sigma=True needs .* 4 channels"):
        loss_of(Target(PUBLISHED["dit"].objective), lambda z, told: z, LEVELS)


def test_each_frame_has_its_time_and_only_learnt_ones_count():
    target = Target(ObjectiveConfig(weight="min_snr"))
    u_BF = jnp.asarray(np.stack([LEVELS, LEVELS[::-1]], axis=1), jnp.float32)
    learn_BF = jnp.array([[True, True], [True, False], [False, True], [True, True]])
    arrays = [jnp.asarray(a, jnp.float32) for a in (X, N)]
    got = target.loss(network(jnp), *arrays, u_BF, learn_BF)
    parts = np.stack(
        [
            target.loss(
                network(jnp), *(a[:, f : f + 1] for a in arrays), u_BF[:, f : f + 1]
            )
            for f in (0, 1)
        ],
        axis=1,
    )
    want = (parts * learn_BF).sum(1) / np.asarray(learn_BF).sum(1)
    np.testing.assert_allclose(got, want, rtol=1e-5)
