"""Compiling is counted since it was last asked for, and only while it is watched."""

import jax
import jax.numpy as jnp

from videogen.train.gauges import FOUND, Gauges


def compile_something(size):
    jax.jit(lambda x: x * 3 + 1)(jnp.arange(size))


def test_a_program_that_is_compiled_again_is_seen():
    with Gauges() as gauges:
        compile_something(7)
        assert gauges()["compile_seconds"] > 0
        assert gauges()["compile_seconds"] == 0
        jax.monitoring.record_event(FOUND)
        assert gauges()["compile_cache_hits"] == 1
        assert gauges()["compile_cache_hits"] == 0
    compile_something(9)
    jax.monitoring.record_event(FOUND)
    assert gauges() | {"peak_memory_gib": 0} == {
        "compile_seconds": 0,
        "compile_cache_hits": 0,
        "peak_memory_gib": 0,
    }
