"""What `encode` may be told: the arguments that decide a dataset's bytes."""

import dataclasses

from videogen.core.errors import ConfigError, suggest
from videogen.text import check_encoder
from videogen.tokenizers import KINDS, fitted_kinds
from videogen.tokenizers.base import latent_shape
from videogen.tokenizers.mdct import RATES, Mdct


@dataclasses.dataclass(frozen=True, kw_only=True)
class EncodeSettings:
    """Equal settings and equal videos give a dataset of equal bytes."""

    videos: str  # a folder, or "quickstart"
    num_frames: int = 17
    stride: int = 17  # frames from one clip's start to the next; < num_frames overlaps
    fps: float = 24.0  # of every clip: sources are resampled by their timestamps
    height: int = 64
    width: int = 96
    shot_threshold: float = 27.0  # of PySceneDetect's ContentDetector
    tokenizer: str = "linear"
    channels: int = 16
    text_encoder: str = "minilm"  # or with its folder, "t5:/path/of/it"
    text_length: int = 32
    clips_per_shard: int = 256
    audio_rate: int = 0  # samples a second of the clips' sound, mono; 0: without sound
    audio_bands: int = 256  # numbers of one audio latent frame

    def __post_init__(self):
        for name in _COUNTS:
            if getattr(self, name) < 1:
                raise ConfigError(
                    f"{name}={getattr(self, name)}: at least 1 would work"
                )
        if self.audio_rate not in (0, *RATES):
            near = min(RATES, key=lambda rate: abs(rate - self.audio_rate))
            raise ConfigError(
                f"audio_rate={self.audio_rate} is not a rate that samples can be written "
                f"at: {near}, or 0 for none, would work"
            )
        if not 0 < self.fps <= 1000:
            raise ConfigError(f"fps={self.fps}: more than 0, at most 1000 would work")
        check_encoder(self.text_encoder)
        if self.tokenizer not in fitted_kinds():
            near = suggest(self.tokenizer, fitted_kinds())
            raise ConfigError(f"tokenizer={self.tokenizer!r} cannot be used here{near}")
        try:
            self._latent_size()
        except ValueError as error:
            raise ConfigError(str(error)) from error

    @property
    def arguments(self) -> dict[str, object]:
        """What decides the dataset's bytes: of a silent one, nothing of sound."""
        fields = dataclasses.asdict(self)
        if not self.audio_rate:
            del fields["audio_rate"], fields["audio_bands"]
        return fields

    @property
    def audio(self) -> Mdct | None:
        """What makes audio latents; None: without sound."""
        return Mdct.of(self.audio_rate, self.audio_bands) if self.audio_rate else None

    @property
    def seconds(self) -> float:
        """Of a clip."""
        return self.num_frames / self.fps

    @property
    def bucket(self) -> str:
        """The directory of the one latent shape, e.g. "f5_h8_w12"."""
        frames, height, width = self._latent_size()
        return f"f{frames}_h{height}_w{width}"

    def _latent_size(self) -> tuple[int, int, int]:
        strides = KINDS[self.tokenizer].strides
        return latent_shape(self.num_frames, self.height, self.width, strides)


_COUNTS = ("stride", "channels", "text_length", "clips_per_shard", "audio_bands")
