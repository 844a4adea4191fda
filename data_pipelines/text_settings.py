"""What `add-text` may be told."""

import dataclasses
import re

from data_pipelines.settings import check_at_least
from data_pipelines.text import check_name
from videogen.core.errors import ConfigError


@dataclasses.dataclass(frozen=True, kw_only=True)
class TextSettings:
    """Which captions of which dataset, by which text encoder."""

    dataset: str
    version: str  # of the new sidecar, e.g. "v1-byt5"
    text_encoder: str  # or with its folder, "t5:/path/of/it"
    text_length: int = 32
    captions: str = "v1"  # the version whose captions are embedded

    def __post_init__(self):
        check_name(self.text_encoder)
        check_at_least(self, "text_length", 1)
        check_version(self.version)


def check_version(version: str) -> None:
    """ConfigError for a name that cannot be part of a file's."""
    if not re.fullmatch(r"[A-Za-z0-9][\w.-]*", version, re.ASCII):
        raise ConfigError(
            f"--version={version!r}: letters, digits, '-', '_' and '.' would work"
        )
