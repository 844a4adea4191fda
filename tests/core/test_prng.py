"""Keys differ by seed, step and stream, and only by them."""

import itertools

import jax
import jax.numpy as jnp

from videogen.core import prng


def test_each_use_has_its_own_key_and_each_key_repeats():
    uses = list(itertools.product((0, 1), (0, 1, 2), ("noise", "time")))
    first = [tuple(jax.random.key_data(prng.key(*use)).tolist()) for use in uses]
    again = [tuple(jax.random.key_data(prng.key(*use)).tolist()) for use in uses]
    assert first == again
    assert len(set(first)) == len(uses)


def test_a_traced_step_gives_the_key_of_the_python_step():
    traced = jax.jit(lambda step: jax.random.normal(prng.key(0, step, "noise")))
    assert traced(jnp.int32(7)) == jax.random.normal(prng.key(0, 7, "noise"))
