"""The host's memory, pinned: what is kept there leaves room on the device until it is used."""

from typing import Any

import jax

from videogen.core.errors import ConfigError

DEVICE, HOST = "device", "pinned_host"


def check_host_memory(device: Any, field: str) -> None:
    """ConfigError unless the device reaches its host's memory; `field` asked for it."""
    kinds = [memory.kind for memory in device.addressable_memories()]
    if HOST not in kinds:
        raise ConfigError(
            f"config.{field} needs memory of kind {HOST!r}, and devices of platform "
            f"{device.platform!r} have {', '.join(kinds)} alone; leave it out"
        )


def is_on_host(x: Any) -> bool:
    """Of an array, or of what is traced for one."""
    return jax.typeof(x).memory_space == jax.memory.Space.Host


def on_device(tree: Any) -> Any:
    """The tree with each array that is in the host's memory copied to its devices."""
    space = jax.memory.Space.Device
    return jax.tree.map(
        lambda x: jax.device_put(x, space) if is_on_host(x) else x, tree
    )


def kept_as(tree: Any, like: Any) -> Any:
    """Under jit: arrays on the device, sent to the memory that those of `like` are in."""
    space = jax.memory.Space.Host
    return jax.tree.map(
        lambda x, like: jax.device_put(x, space) if is_on_host(like) else x, tree, like
    )
