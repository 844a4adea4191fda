"""What is kept in the host's memory, on devices that reach it."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from videogen.core.errors import ConfigError
from videogen.parallel.host_memory import (
    HOST,
    check_host_memory,
    kept_as,
    on_device,
)


def kinds(tree):
    return [leaf.sharding.memory_kind for leaf in jax.tree.leaves(tree)]


def test_arrays_go_back_where_they_were():
    here = jnp.arange(3.0)
    there = jax.device_put(here, here.sharding.with_memory_kind(HOST))
    tree = {"a": there, "b": here}

    @jax.jit
    def double(tree):
        return kept_as(jax.tree.map(lambda x: 2 * x, on_device(tree)), tree)

    assert kinds(double(tree)) == [HOST, "device"]
    np.testing.assert_array_equal(double(tree)["a"], 2 * here)
    assert kinds(on_device(tree)) == ["device", "device"]
    assert on_device(tree)["b"] is here


def test_a_device_without_it_is_one_line():
    check_host_memory(jax.devices()[0], "model.remat=offload")
    own = SimpleNamespace(kind="device")
    device = SimpleNamespace(platform="metal", addressable_memories=lambda: [own])
    said = (
        "config.model.remat=offload needs memory of kind 'pinned_host', and devices of "
    )
    with pytest.raises(ConfigError, match=f"{said}platform 'metal' have device alone"):
        check_host_memory(device, "model.remat=offload")
