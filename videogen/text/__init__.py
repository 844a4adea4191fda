"""Text encoders by name."""

from collections.abc import Callable

from videogen.core.errors import ConfigError, suggest
from videogen.text.base import TextEncoder
from videogen.text.hashed import HashedWords
from videogen.text.minilm import MiniLM

ENCODERS: dict[str, Callable[[int], TextEncoder]] = {
    "minilm": MiniLM,
    "hash": HashedWords,
}


def make_encoder(name: str, length: int) -> TextEncoder:
    """The encoder of that name for texts of `length` tokens. ConfigError if unknown."""
    if name not in ENCODERS:
        raise ConfigError(
            f"text encoder {name!r} does not exist{suggest(name, ENCODERS)}"
        )
    return ENCODERS[name](length)
