"""The host's memory, pinned: what is kept there leaves room on the device until it is used."""

from typing import Any

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
