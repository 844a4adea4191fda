"""All objectives sample alike, given the network that each would learn of Gaussian data."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from videogen.diffusion.loss import Target
from videogen.diffusion.objective import ObjectiveConfig
from videogen.diffusion.path import DDPM
from videogen.diffusion.published import PUBLISHED
from videogen.diffusion.sampler import Sampler

MEAN, DEVIATION = 0.7, 0.4
NOISE = jax.random.normal(jax.random.key(0), (500, 8))


def expected(x_t, t):
    """(E[x_0 | x_t], E[noise | x_t])."""
    variance = ((1 - t) * DEVIATION) ** 2 + t**2
    rest = (x_t - (1 - t) * MEAN) / variance
    return MEAN + (1 - t) * DEVIATION**2 * rest, t * rest


def exact(x_t, t_B):
    x_0, noise = expected(x_t, t_B[:, None])
    return noise - x_0


def clock(target, told):
    """u of what the network is told."""
    told = told / target.config.told_scale
    sigma = jnp.exp(4 * told)
    return {
        "time": told,
        "data_time": 1 - told,
        "step": (1000 * told + 1) / target.config.num_steps,
        "log_sigma": sigma / (1 + sigma),
    }[target.config.told]


def optimum(target):
    """The network of least loss."""

    def predict(z, told):
        u = clock(target, told)
        p = target.prediction(u, z)
        x_t = z / (p.alpha + p.sigma)
        return p.target(*expected(x_t, target.path.time(u)[:, None]))

    return predict


@pytest.mark.parametrize("name", sorted(set(PUBLISHED) - {"latte", "wan", "goku"}))
def test_the_optimum_samples_as_the_exact_velocity(name):
    target = Target(PUBLISHED[name].objective)
    sampler = Sampler(num_steps=500)
    where = (target.path.time, target.end)
    got = sampler(target.velocity(optimum(target)), NOISE, *where)
    np.testing.assert_allclose(got, sampler(exact, NOISE, *where), atol=2e-3)
    # Exactly: x_0 = MEAN + DEVIATION noise, row by row.
    np.testing.assert_allclose(got, MEAN + DEVIATION * NOISE, atol=0.06)
    assert float(got.mean()) == pytest.approx(MEAN, abs=0.03)
    assert float(got.std()) == pytest.approx(DEVIATION, abs=0.03)


def test_noise_predicted_on_straight_lines_samples_too():
    target = Target(ObjectiveConfig(predict="noise"))
    velocity = target.velocity(optimum(target))
    got = Sampler(num_steps=100)(velocity, NOISE, target.path.time, target.end)
    np.testing.assert_allclose(got, MEAN + DEVIATION * NOISE, atol=0.06)


def test_an_euler_step_is_a_ddim_step():
    """z_s = alpha_s x_0 + sigma_s eps, with x_0 and eps as predicted at k (eta = 0)."""
    target = Target(PUBLISHED["allegro"].objective)
    path = target.path
    assert isinstance(path, DDPM)

    def predict(z, told):
        return jnp.tanh(z) + told[:, None]

    steps, z = [999, 749, 499, 249], np.asarray(NOISE, np.float64)
    root, spread = np.sqrt(path.alpha_bar), np.sqrt(1 - path.alpha_bar)
    for k, after in zip(steps, [*steps[1:], None], strict=True):
        eps = np.tanh(z) + k / 1000
        x_0 = (z - spread[k] * eps) / root[k]
        z = x_0 if after is None else root[after] * x_0 + spread[after] * eps
    # Sampling starts from t noise, which is noise of deviation sigma in z.
    got = Sampler(num_steps=4)(
        target.velocity(predict), NOISE / spread[999], path.time, target.end
    )
    np.testing.assert_allclose(got, z, rtol=2e-3, atol=2e-3)
