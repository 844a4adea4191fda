"""Video DiTs that diffuse a clip's sound beside its frames, in one sequence."""

import dataclasses

from videogen.core.errors import ConfigError
from videogen.models.cross.config import CrossConfig


@dataclasses.dataclass(frozen=True, kw_only=True)
class SoundConfig(CrossConfig):
    """The trunk of `cross`, over the tokens of video and of audio.

    audio_channels: of one audio frame, which is one token.
    audio_per_frame: audio frames in the time of one latent frame of the video: their rate
        over the rate of latent frames.
    """

    audio_channels: int
    audio_per_frame: float

    def __post_init__(self) -> None:
        super().__post_init__()
        for field in ("audio_channels", "audio_per_frame"):
            if getattr(self, field) <= 0:
                raise ConfigError(
                    f"model.{field}={getattr(self, field)} must be positive"
                )
        if self.position != "rope":
            raise ConfigError(
                f"model.position={self.position!r} has no place for sound; 'rope' would work"
            )
