"""What `caption` may be told."""

import dataclasses
import re

from data_pipelines.captioning.instructions import INSTRUCTIONS, SHOWN
from data_pipelines.settings import IngestSettings, check_at_least
from data_pipelines.text import check_name
from videogen.core.errors import ConfigError, suggest

NO_TEXT = "none"
MAX_CHARACTERS = 4000
GIVEN = "given"  # the kind, and by default the model, of captions from a file


@dataclasses.dataclass(frozen=True, kw_only=True)
class CaptionSettings:
    """Where captions come from (an endpoint or a file), and what becomes of them."""

    version: str
    endpoint: str = ""
    model: str = ""
    from_file: str = ""
    kind: str = ""  # default: "dense", of a file "given"
    videos: str = ""
    video_field: str = ""
    caption_field: str = ""
    split: str = ""
    data_dir: str = ""
    frames_fps: float = 0.0
    frames: int = 8
    send: str = "images"
    max_characters: int = MAX_CHARACTERS
    max_failures: float = 0.05
    max_tokens: int = 512
    threads: int = 16
    attempts: int = 6
    timeout_s: float = 120.0
    api_key_env: str = ""
    text_encoder: str = ""
    text_length: int = 0

    def __post_init__(self):
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.]*", self.version):
            raise ConfigError(
                f"--version={self.version!r}: a name such as v2 would work"
            )
        if bool(self.endpoint) == bool(self.from_file):
            raise ConfigError(
                "captions come from --endpoint=http://... with --model=NAME, or --from=FILE: "
                "give one of the two"
            )
        if self.from_file and self.videos:
            raise ConfigError(f"--videos={self.videos!r} does not go with --from=FILE")
        if not self.videos:
            self.sources().only()
        if self.endpoint and (self.kind or "dense") not in INSTRUCTIONS:
            raise ConfigError(f"--kind={self.kind!r}{suggest(self.kind, INSTRUCTIONS)}")
        if self.send not in SHOWN:
            raise ConfigError(f"--send={self.send!r}{suggest(self.send, SHOWN)}")
        for name in ("frames", "max_characters", "max_tokens", "threads", "attempts"):
            check_at_least(self, name, 1)
        if not 0 <= self.max_failures <= 1:
            raise ConfigError(f"--max-failures={self.max_failures}: 0 to 1 would work")
        if self.text_encoder not in ("", NO_TEXT):
            check_name(self.text_encoder)
        check_at_least(self, "text_length", 0)

    def sources(self) -> IngestSettings:
        """The videos, as `ingest` is told of them."""
        names = [field.name for field in dataclasses.fields(IngestSettings)]
        return IngestSettings(**{name: getattr(self, name) for name in names})
