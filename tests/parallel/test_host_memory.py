"""What is kept in the host's memory, on devices that reach it."""

from types import SimpleNamespace

import jax
import pytest

from videogen.core.errors import ConfigError
from videogen.parallel.host_memory import check_host_memory


def test_a_device_without_it_is_one_line():
    check_host_memory(jax.devices()[0], "model.remat=offload")
    own = SimpleNamespace(kind="device")
    device = SimpleNamespace(platform="metal", addressable_memories=lambda: [own])
    said = (
        "config.model.remat=offload needs memory of kind 'pinned_host', and devices of "
    )
    with pytest.raises(ConfigError, match=f"{said}platform 'metal' have device alone"):
        check_host_memory(device, "model.remat=offload")
