"""What config.json tells diffusers of a config of ours."""

from collections.abc import Mapping
from typing import Any

from videogen.core.errors import ConfigError


def config_json(
    kind: str, config: Any, fixed: Mapping[str, Any], **arguments: Any
) -> dict[str, Any]:
    """config.json of the class `kind`, made with `arguments`.

    fixed: fields of `config` that the class has no argument for, and the value it takes.
        ConfigError for another value: its network would be another.
    """
    for field, value in fixed.items():
        if getattr(config, field) != value:
            raise ConfigError(
                f"model.{field}={getattr(config, field)!r} cannot be told to diffusers."
                f"{kind}, which takes {value!r}"
            )
    return {"_class_name": kind, **arguments}


def trunk(config: Any) -> dict[str, int]:
    """Arguments of the blocks and heads, as most classes call them."""
    return {
        "num_layers": config.depth,
        "num_attention_heads": config.num_heads,
        "attention_head_dim": config.head_dim,
    }
