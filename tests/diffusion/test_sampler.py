"""Solvers are exact where they must be and converge at their order elsewhere."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from videogen.core.errors import ConfigError
from videogen.diffusion import flow
from videogen.diffusion.guidance import guided
from videogen.diffusion.loss import Target
from videogen.diffusion.sampler import Sampler

X_0 = jax.random.normal(jax.random.key(0), (2, 3, 4))
NOISE = jax.random.normal(jax.random.key(1), (2, 3, 4))


def point_mass(x_t, t_B):
    """The exact velocity when all data is X_0: straight lines."""
    return flow.velocity_from_data(x_t, X_0, jnp.maximum(t_B, 1e-6))


def gaussian(x_t, t_B):
    """The exact velocity for data ~ N(0, 1/4): E[noise - x_0 | x_t]."""
    t = t_B[:, None, None]
    variance = (1 - t) ** 2 / 4 + t**2
    return (t - (1 - t) / 4) / variance * x_t


@pytest.mark.parametrize("num_steps", [1, 7])
@pytest.mark.parametrize("shift", [1.0, 3.0])
def test_euler_is_exact_on_straight_paths(num_steps, shift):
    sampler = Sampler(method="euler", num_steps=num_steps, shift=shift)
    np.testing.assert_allclose(sampler(point_mass, NOISE), X_0, atol=1e-4)


@pytest.mark.parametrize("method, order", [("euler", 1), ("heun", 2)])
def test_error_falls_at_the_order_of_the_method(method, order):
    exact = NOISE / 2  # the flow from N(0, 1) to N(0, 1/4) scales by 1/2

    def error(num_steps):
        x_0 = Sampler(method=method, num_steps=num_steps)(gaussian, NOISE)
        return float(jnp.abs(x_0 - exact).max())

    assert np.log2(error(16) / error(32)) == pytest.approx(order, abs=0.35)


def test_sampling_inverts_the_path_of_the_loss():
    """A predictor of zero loss, sampled, gives the data back."""
    loss_B = Target().loss(point_mass, X_0, NOISE, jnp.array([0.3, 0.9]))
    np.testing.assert_allclose(loss_B, 0, atol=1e-9)


def test_guidance_extrapolates_and_skips_the_null_at_scale_one():
    one, two = (lambda x, t: x), (lambda x, t: 3 * x)
    np.testing.assert_allclose(
        guided(two, one, 2.0)(X_0, jnp.ones(2)), 5 * X_0, rtol=1e-6
    )

    def never(x_t, t_B):
        raise AssertionError("the null pass ran")

    np.testing.assert_array_equal(guided(one, never, 1.0)(X_0, jnp.ones(2)), X_0)


def test_bad_fields_are_named():
    with pytest.raises(ConfigError, match="did you mean 'heun'"):
        Sampler(method="huen")
    with pytest.raises(ConfigError, match="sample.num_steps=0"):
        Sampler(num_steps=0)
    with pytest.raises(ConfigError, match="sample.schedule='karas'.*'karras'"):
        Sampler(schedule="karas")
