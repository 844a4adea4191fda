"""Moments in bfloat16: right on average, and all else as it was."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from videogen.train.rounding import in_bfloat16, stochastic_bfloat16

KEY = jax.random.key(0)


@settings(max_examples=40, deadline=None)
@given(st.floats(2.0**-100, 2.0**120, width=32), st.booleans())
def test_the_mean_is_the_number(size, negative):
    x = np.float32(-size if negative else size)
    rounded = stochastic_bfloat16(KEY, jnp.full((4096,), x)).astype(jnp.float32)
    values = np.unique(np.asarray(rounded))
    assert len(values) <= 2 and values.min() <= x <= values.max()
    step = values.max() - values.min()
    assert abs(float(np.asarray(rounded).mean(dtype=np.float64)) - x) <= 0.05 * step


@pytest.mark.parametrize("x", [0.0, -0.0, 1.0, -1.5, np.inf, -np.inf])
def test_what_bfloat16_holds_is_kept(x):
    rounded = stochastic_bfloat16(KEY, jnp.full((64,), x, jnp.float32))
    np.testing.assert_array_equal(rounded.astype(jnp.float32), np.float32(x))


def test_what_is_no_number_stays_none():
    bits = jnp.array([0x7FC00000, 0x7FFFFFFF, 0xFFFFFFFF], jnp.uint32)
    x = jax.lax.bitcast_convert_type(bits, jnp.float32)
    assert jnp.isnan(stochastic_bfloat16(KEY, x)).all()


def test_only_moments_are_rounded():
    params = {"a.kernel": jnp.ones((3, 2)), "mu_like": jnp.ones(2)}
    optimizer = in_bfloat16(optax.adamw(0.1))
    _, state = optimizer.update(params, optimizer.init(params), params)
    adam = state.inner[0]
    assert all(x.dtype == jnp.bfloat16 for x in jax.tree.leaves((adam.mu, adam.nu)))
    assert adam.count == state.count == 1 and adam.count.dtype == jnp.int32


def test_small_changes_are_not_lost():
    """A moment of 1 that decays by a thousandth a step: to the nearest, it would stay."""
    params = {"a": jnp.zeros((256,))}
    optimizer = in_bfloat16(optax.adamw(0.1, b1=0.999, b2=0.999))
    state = optimizer.init(params)
    one = {"a": jnp.ones((256,), jnp.bfloat16)}
    adam = state.inner[0]._replace(mu=one, nu=one)
    state = state._replace(inner=(adam, *state.inner[1:]))
    update = jax.jit(lambda state: optimizer.update(params, state, params)[1])
    for _ in range(200):
        state = update(state)
    mean = float(jnp.mean(state.inner[0].nu["a"].astype(jnp.float32)))
    assert mean == pytest.approx(0.999**200, rel=0.02)
