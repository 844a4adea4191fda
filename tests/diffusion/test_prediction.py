"""Predictions: each gives back data, noise and velocity; one becomes another and back."""

import jax.numpy as jnp
import numpy as np
import pytest

from videogen.diffusion.path import EDM, Flow, unit_variance
from videogen.diffusion.prediction import NAMES, Prediction

RNG = np.random.default_rng(0)
X_0, NOISE = (jnp.asarray(RNG.standard_normal((3, 4, 5)), jnp.float32) for _ in "12")
U = jnp.array([0.1, 0.5, 0.9])[:, None, None]
PATHS = {"flow": Flow(), "edm": EDM()}


def make(name, path, sign=1, sigma_min=0.0):
    alpha, sigma = path.coefficients(U)
    return Prediction.of(name, alpha, sigma, sigma_min=sigma_min, sign=sign)


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("name", NAMES)
def test_data_noise_and_velocity_come_back(name, path, sign):
    p = make(name, PATHS[path], sign)
    z, y = p.see(X_0, NOISE), p.target(X_0, NOISE)
    np.testing.assert_allclose(p.data(z, y), X_0, atol=2e-5)
    np.testing.assert_allclose(p.noise(z, y), NOISE, atol=2e-5)
    np.testing.assert_allclose(p.velocity(z, y), NOISE - X_0, atol=4e-5)


def test_a_blurred_flow_gives_back_its_data():
    p = make("velocity", Flow(sigma_min=0.1), sigma_min=0.1)
    z, y = p.see(X_0, NOISE), p.target(X_0, NOISE)
    np.testing.assert_allclose(y, 0.9 * NOISE - X_0, atol=1e-6)
    np.testing.assert_allclose(p.data(z, y), X_0, atol=1e-5)
    np.testing.assert_allclose(p.velocity(z, y), NOISE - X_0, atol=1e-5)


@pytest.mark.parametrize("path", PATHS)
def test_round_trip_noise_data_v_noise(path):
    by_noise, by_v = make("noise", PATHS[path]), make("v", PATHS[path])
    z = by_noise.see(X_0, NOISE)
    data = by_noise.data(z, NOISE)
    v = by_v.target(data, NOISE)
    np.testing.assert_allclose(by_v.noise(z, v), NOISE, atol=2e-5)


def test_v_turns_with_the_angle():
    """With alpha = cos, sigma = sin (arXiv 2202.00512): noise = sin z + cos v."""
    p = make("v", EDM(sigma_data=1.0))
    z, y = p.see(X_0, NOISE), p.target(X_0, NOISE)
    np.testing.assert_allclose(p.sigma * z + p.alpha * y, NOISE, atol=1e-6)
    np.testing.assert_allclose(p.alpha * z - p.sigma * y, X_0, atol=1e-6)


def test_edms_f_is_minus_v_of_unit_variance():
    f, v = make("edm", EDM()), make("v", EDM())
    np.testing.assert_array_equal(f.target(X_0, NOISE), -v.target(X_0, NOISE))


def test_the_velocity_of_noise_alone_is_known_at_zero_snr():
    alpha, sigma = unit_variance(jnp.ones((3, 1, 1)))
    p = Prediction.of("v", alpha, sigma, sigma_min=0.0, sign=1)
    np.testing.assert_array_equal(p.velocity(NOISE, -X_0), NOISE - X_0)
