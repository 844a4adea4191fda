"""Paths: a clock and its inverse, coefficients as published, and one t for all of them."""

import jax.numpy as jnp
import numpy as np
import pytest

from videogen.diffusion.path import DDPM, EDM, Flow

PATHS = {
    "flow": Flow(),
    "movie_gen": Flow(sigma_min=1e-5),
    "blurred": Flow(sigma_min=0.1),
    "dit": DDPM(betas="linear", num_steps=1000, beta=(1e-4, 0.02)),
    "cogvideox": DDPM(
        betas="scaled_linear",
        num_steps=1000,
        beta=(0.00085, 0.012),
        snr_shift=3.0,
        zero_terminal_snr=True,
    ),
    "edm": EDM(),
    "unit": EDM(sigma_data=1.0, sigma_max=200.0),
}
U = np.arange(1, 1000, dtype=np.float32) / 1000


@pytest.fixture(params=PATHS)
def path(request):
    return PATHS[request.param]


def test_the_clock_inverts_the_time_and_both_rise(path):
    t = path.time(jnp.asarray(U))
    assert np.all(np.diff(t) > 0)
    np.testing.assert_allclose(path.clock(t), U, atol=2e-5)
    assert path.clock(jnp.zeros(1)) == 0


def test_t_is_the_share_of_noise(path):
    u = jnp.asarray(U)
    alpha, sigma = path.coefficients(u)
    np.testing.assert_allclose(sigma / (alpha + sigma), path.time(u), rtol=1e-5)


def test_sampling_begins_where_the_clock_ends(path):
    assert 0.98 < path.end <= 1
    if not isinstance(path, EDM):
        np.testing.assert_allclose(path.time(jnp.ones(1)), path.end, rtol=1e-6)


@pytest.mark.parametrize("name", ["dit", "cogvideox"])
def test_steps_have_the_tabled_coefficients(name):
    path = PATHS[name]
    u = jnp.arange(1, 1001) / 1000
    alpha, sigma = path.coefficients(u)
    np.testing.assert_allclose(alpha, np.sqrt(path.alpha_bar), atol=1e-6)
    np.testing.assert_allclose(sigma, np.sqrt(1 - path.alpha_bar), atol=1e-6)
    assert float(alpha[-1]) == (
        0 if name == "cogvideox" else pytest.approx(0.00635, 1e-3)
    )


def test_every_step_is_drawn_alike():
    path = PATHS["dit"]
    u = (jnp.arange(4000) + 0.5) / 4000
    steps, counts = np.unique(np.round(path.draw(u) * 1000), return_counts=True)
    np.testing.assert_array_equal(steps, np.arange(1, 1001))
    assert np.all(counts == 4)
    np.testing.assert_allclose(path.draw(jnp.array([0.0, 1.0])), [0.001, 1.0])


def test_edm_coefficients_are_the_preconditioner():
    sigma = np.exp(np.linspace(-5, 4, 50))
    data = 0.5
    got_alpha, got_sigma = EDM(sigma_data=data).coefficients(
        jnp.asarray(sigma / (1 + sigma), jnp.float32)
    )
    c_in = 1 / np.sqrt(sigma**2 + data**2)
    np.testing.assert_allclose(got_alpha, c_in * data, rtol=2e-5)
    np.testing.assert_allclose(got_sigma, c_in * sigma, rtol=2e-5)
