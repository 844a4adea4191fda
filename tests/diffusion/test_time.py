"""The sampled times have the stated distribution and order."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from videogen.core.errors import ConfigError
from videogen.diffusion.time import TimeSampler, shift_time


@pytest.mark.parametrize("shift", [0.5, 1.0, 3.0, 7.0])
def test_shift_keeps_the_ends_and_the_order_and_inverts(shift):
    t = jnp.linspace(0, 1, 101)
    shifted = shift_time(t, shift)
    assert shifted[0] == 0 and shifted[-1] == 1
    assert (jnp.diff(shifted) > 0).all()
    np.testing.assert_allclose(shift_time(shifted, 1 / shift), t, atol=1e-5)


def test_logit_normal_has_its_mean_and_deviation():
    t_B = TimeSampler(mean=0.3, std=0.8)(jax.random.key(0), 200_000)
    logits = np.log(t_B / (1 - t_B))
    assert abs(logits.mean() - 0.3) < 0.01
    assert abs(logits.std() - 0.8) < 0.01


def test_shift_moves_logit_normal_by_its_logarithm():
    """logit(s t / (1 + (s - 1) t)) = logit(t) + log s."""
    t_B = TimeSampler(shift=3.0)(jax.random.key(0), 200_000)
    assert abs(np.log(t_B / (1 - t_B)).mean() - np.log(3.0)) < 0.01


def test_uniform_fills_the_interval():
    t_B = TimeSampler(kind="uniform")(jax.random.key(1), 100_000)
    counts, _ = np.histogram(t_B, bins=10, range=(0, 1))
    assert counts.min() > 9_500


def test_bad_fields_are_named():
    with pytest.raises(ConfigError, match="time.kind='logit_norml'.*logit_normal"):
        TimeSampler(kind="logit_norml")
    with pytest.raises(ConfigError, match="time.shift=0"):
        TimeSampler(shift=0.0)
