"""Round trips between every pair of predictions, at any time."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from videogen.diffusion import flow


@pytest.fixture(params=[0.05, 0.5, 0.95])
def case(request):
    keys = jax.random.split(jax.random.key(0), 2)
    x_0, noise = (jax.random.normal(key, (3, 2, 4, 4, 5)) for key in keys)
    return x_0, noise, jnp.full((3,), request.param)


def test_ends_of_the_path_are_data_and_noise(case):
    x_0, noise, _ = case
    zeros, ones = jnp.zeros((3,)), jnp.ones((3,))
    np.testing.assert_array_equal(flow.interpolate(x_0, noise, zeros), x_0)
    np.testing.assert_array_equal(flow.interpolate(x_0, noise, ones), noise)


def test_velocity_gives_back_data_and_noise(case):
    x_0, noise, t_B = case
    x_t, v = flow.interpolate(x_0, noise, t_B), flow.velocity(x_0, noise)
    np.testing.assert_allclose(flow.data_from_velocity(x_t, v, t_B), x_0, atol=1e-5)
    np.testing.assert_allclose(flow.noise_from_velocity(x_t, v, t_B), noise, atol=1e-5)
    np.testing.assert_allclose(flow.velocity_from_data(x_t, x_0, t_B), v, atol=1e-4)


def test_velocity_is_the_derivative_of_the_path(case):
    x_0, noise, t_B = case
    _, dx_dt = jax.jvp(
        lambda t: flow.interpolate(x_0, noise, t), (t_B,), (jnp.ones_like(t_B),)
    )
    np.testing.assert_allclose(dx_dt, flow.velocity(x_0, noise), atol=1e-6)


def test_each_example_has_its_own_time():
    x_0, noise = jnp.zeros((2, 3, 3)), jnp.ones((2, 3, 3))
    x_t = flow.interpolate(x_0, noise, jnp.array([0.25, 0.75]))
    np.testing.assert_allclose(x_t[:, 0, 0], [0.25, 0.75])
