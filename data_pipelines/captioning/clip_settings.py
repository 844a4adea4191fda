"""What the phase caption-clips may be told."""

import dataclasses

from data_pipelines.captioning.instructions import (
    INSTRUCTIONS,
    SHOWN,
    instructions_sha256,
)
from data_pipelines.settings import check_at_least, check_known
from videogen.core.errors import ConfigError

MODEL, GIVEN = "model", "given"


@dataclasses.dataclass(frozen=True, kw_only=True)
class ClipCaptionSettings:
    """Which model writes the captions, what it is shown and asked."""

    captioner: str = ""  # an endpoint; "": no model is asked
    caption_model: str = ""
    caption_kind: str = "dense"
    caption_frames: int = 8
    caption_send: str = "images"
    caption_max_tokens: int = 512
    primary_captions: str = MODEL  # v1 of the dataset; the others are v2
    caption_threads: int = 16
    caption_timeout_s: float = 120.0
    caption_key_env: str = ""

    def __post_init__(self):
        check_known("caption_kind", self.caption_kind, INSTRUCTIONS)
        check_known("caption_send", self.caption_send, SHOWN)
        check_known("primary_captions", self.primary_captions, (MODEL, GIVEN))
        for name in ("caption_frames", "caption_max_tokens", "caption_threads"):
            check_at_least(self, name, 1)
        if bool(self.captioner) != bool(self.caption_model):
            raise ConfigError(
                f"--captioner={self.captioner!r}, --caption-model={self.caption_model!r}: "
                "both or neither would work: http://host:8000/v1 and a model that it has"
            )

    def arguments(self) -> dict[str, object]:
        """What decides the captions: not where the model runs, or how patiently one asks."""
        return {
            "caption_model": self.caption_model,
            "caption_kind": self.caption_kind,
            "caption_frames": self.caption_frames,
            "caption_send": self.caption_send,
            "caption_max_tokens": self.caption_max_tokens,
            "primary_captions": self.primary_captions,
            "instructions": instructions_sha256(self.caption_kind),
        }
