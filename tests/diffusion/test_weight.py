"""Weights, as published, of the errors that they were published for."""

import jax.numpy as jnp
import numpy as np
import pytest

from videogen.diffusion.path import Flow, unit_variance
from videogen.diffusion.prediction import Prediction
from videogen.diffusion.weight import weight

T = np.linspace(0.01, 0.99, 50)


def make(name, coefficients=unit_variance):
    alpha, sigma = coefficients(jnp.asarray(T, jnp.float32))
    return Prediction.of(name, alpha, sigma, sigma_min=0.0, sign=1)


SNR = (1 - T) ** 2 / T**2


@pytest.mark.parametrize(
    "predict, published",
    [
        ("data", np.minimum(SNR, 5)),
        ("noise", np.minimum(SNR, 5) / SNR),
        ("v", np.minimum(SNR, 5) / (SNR + 1)),
    ],
)
def test_min_snr(predict, published):
    """arXiv 2303.09556, section 3.4."""
    got = weight("min_snr", make(predict), 5.0)
    np.testing.assert_allclose(got, published, rtol=1e-4)


def test_min_snr_of_v_is_zero_at_zero_snr():
    p = Prediction.of("v", jnp.zeros(1), jnp.ones(1), sigma_min=0.0, sign=1)
    assert weight("min_snr", p, 5.0) == 0


@pytest.mark.parametrize("predict", ["v", "edm"])
def test_inverse_noise_is_uniform_on_v(predict):
    got = weight("inverse_noise", make(predict), 5.0)
    np.testing.assert_allclose(got, 1, rtol=1e-5)


def test_inverse_noise_of_data():
    alpha_bar = SNR / (1 + SNR)
    got = weight("inverse_noise", make("data"), 5.0)
    np.testing.assert_allclose(got, 1 / (1 - alpha_bar), rtol=1e-5)


def test_cosmos_predict2_is_uniform_on_the_velocity():
    """Its weight of x_0, (1 + s)^2 / s^2 with s = t / (1 - t), is 1 / t^2."""
    p = make("velocity", Flow().coefficients)
    s = T / (1 - T)
    np.testing.assert_allclose((1 + s) ** 2 / s**2 * p.sigma**2, 1, rtol=1e-4)
