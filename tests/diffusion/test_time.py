"""The sampled times have the stated distribution and order."""

import dataclasses
from statistics import NormalDist

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


def test_clamped_times_stay_within_their_quantiles():
    plain = TimeSampler(mean=0.5)(jax.random.key(0), 200_000)
    t_B = TimeSampler(mean=0.5, clamp=(0.005, 0.999))(jax.random.key(0), 200_000)
    ends = np.quantile(plain, [0.005, 0.999])
    np.testing.assert_allclose([t_B.min(), t_B.max()], ends, atol=2e-3)
    inside = (plain > t_B.min()) & (plain < t_B.max())
    np.testing.assert_array_equal(plain[inside], t_B[inside])


@pytest.mark.parametrize("kind", ["uniform", "logit_normal"])
def test_stratified_rows_each_have_their_share(kind):
    time = TimeSampler(kind=kind, mean=0.2, std=0.7, stratified=True)
    t_B = np.asarray(time(jax.random.key(2), 64), np.float64)
    share = t_B
    if kind == "logit_normal":
        z = (np.log(t_B / (1 - t_B)) - 0.2) / 0.7
        share = np.array([NormalDist().cdf(x) for x in z])
    np.testing.assert_array_equal(np.floor(share * 64 + 1e-3), np.arange(64))
    assert np.any(t_B != time(jax.random.key(3), 64))


def test_a_logit_normal_time_is_edms_log_normal_sigma():
    """ln s ~ N(-1.2, 1.2) of u = s / (1 + s); a shift of 4 is a factor of s."""
    u_B = TimeSampler(mean=-1.2, std=1.2, shift=4.0)(jax.random.key(0), 200_000)
    log_sigma = np.log(u_B / (1 - u_B))
    assert abs(log_sigma.mean() - (np.log(4) - 1.2)) < 0.01
    assert abs(log_sigma.std() - 1.2) < 0.01


def test_the_shift_of_the_clips_replaces_the_constant_one():
    time = TimeSampler(shift_rule="exp", shift_range=(0.5, 1.15))
    shift = time.shift_at((1, 64, 64), 1)
    assert shift == pytest.approx(np.exp(1.15))
    plain, t_B = TimeSampler()(jax.random.key(0), 9), time(jax.random.key(0), 9, shift)
    np.testing.assert_allclose(t_B, shift_time(plain, shift), rtol=1e-6)


@pytest.mark.parametrize(
    "fields, said",
    [
        ({"clamp": (0.9, 0.1)}, "time.clamp=.0.9, 0.1. must rise"),
        ({"std": 0.0}, "time.std=0.0 must be positive"),
        ({"chunk_frames": -1}, "time.chunk_frames=-1"),
        ({"clean_rows": 1.5}, "time.clean_rows=1.5"),
        ({"stratified": True, "chunk_frames": 6}, "time.chunk_frames=6 it has several"),
    ],
)
def test_what_cannot_be_is_refused(fields, said):
    with pytest.raises(ConfigError, match=said):
        TimeSampler(**fields)


@pytest.mark.parametrize("kind", ("uniform", "logit_normal"))
@pytest.mark.parametrize("within", ((0.875, 1.0), (0.0, 0.875)))
def test_an_expert_sees_its_part_of_the_distribution(kind, within):
    """What the whole distribution has there, no more and no less."""
    whole = TimeSampler(kind=kind, mean=0.3, std=0.8, shift=3.0)
    part = dataclasses.replace(whole, within=within)
    key = jax.random.key(0)
    u = np.asarray(part(key, 200_000))
    assert u.min() >= within[0] and u.max() <= within[1]
    every = np.asarray(whole(key, 400_000))
    every = every[(every >= within[0]) & (every <= within[1])]
    places = np.linspace(0.05, 0.95, 7)
    np.testing.assert_allclose(
        np.quantile(u, places), np.quantile(every, places), atol=0.005
    )


def test_parts_that_cannot_be_are_one_line():
    with pytest.raises(ConfigError, match="time.within=.* must rise"):
        TimeSampler(within=(0.9, 0.1))
    with pytest.raises(ConfigError, match="does not go with time.clamp"):
        TimeSampler(within=(0.5, 1.0), chunk_frames=2)
