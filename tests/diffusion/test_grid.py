"""Grids of samplers: published numbers, ends, and what Euler pays for them."""

import numpy as np
import pytest

from videogen.diffusion.grid import karras, linear_quadratic
from videogen.diffusion.sampler import Sampler


def test_movie_gens_50_steps():
    """The first 25 of 1000 linear steps, then 25 that grow as a parabola."""
    u = linear_quadratic(50)
    np.testing.assert_allclose(u[:26], 1 - np.arange(26) / 1000, atol=1e-12)
    lengths = -np.diff(u)
    assert u[0] == 1 and u[-1] == pytest.approx(0, abs=1e-12)
    np.testing.assert_allclose(np.diff(lengths[25:], n=2), 0, atol=1e-12)
    assert lengths[25] > lengths[24] > 0 and (np.diff(lengths[25:]) > 0).all()


def test_mochis_64_steps():
    """Half of them linear, to 0.025 (genmoai/mochi)."""
    u = linear_quadratic(64)
    assert u[32] == pytest.approx(0.975) and u[64] == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("num_steps", [1, 2, 3, 7])
def test_few_steps_fall_from_1_to_0(num_steps):
    u = linear_quadratic(num_steps)
    assert u[0] == 1 and abs(u[-1]) < 1e-12 and (np.diff(u) < 0).all()


def test_edms_18_steps():
    """sigma_i of arXiv 2206.00364, (5)."""
    u = karras(18)
    sigma = u[:-1] / (1 - u[:-1])
    i = np.arange(18)
    want = (80 ** (1 / 7) + i / 17 * (0.002 ** (1 / 7) - 80 ** (1 / 7))) ** 7
    np.testing.assert_allclose(sigma, want, rtol=1e-9)
    assert u[-1] == 0


@pytest.mark.parametrize("schedule", ["uniform", "linear_quadratic", "karras"])
def test_a_sampler_takes_each(schedule):
    times = np.asarray(Sampler(schedule=schedule, num_steps=10, shift=3.0).times())
    assert times.shape == (11,) and (np.diff(times) < 0).all()
    assert times[0] > 0.98 and abs(times[-1]) < 1e-6
