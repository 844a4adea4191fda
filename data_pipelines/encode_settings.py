"""What `encode` may be told."""

import dataclasses

from data_pipelines.buckets import Bucket, parse_buckets
from data_pipelines.settings import check_at_least, check_known
from data_pipelines.text import check_name
from videogen.core.errors import ConfigError
from videogen.tokenizers import KINDS, fitted_kinds
from videogen.tokenizers.mdct import RATES, Mdct


@dataclasses.dataclass(frozen=True, kw_only=True)
class EncodeSettings:
    """Into which shapes, by which tokenizer and text encoder."""

    buckets: str = "17x64x96"  # frames x height x width, ...
    fps: float = 24.0  # of every clip: sources are resampled by their timestamps
    validation_sources: float = 0.0  # 0: the last clip of each video; else a fraction
    tokenizer: str = "linear"
    channels: int = 16
    tokenizer_from: str = ""  # a dataset whose tokenizer is taken; "": it is fitted
    text_encoder: str = "minilm"  # or with its folder, "t5:/path/of/it"
    text_length: int = 32
    shard_mib: float = 768.0  # of latents, about
    audio_rate: int = 0  # samples a second of the clips' sound, mono; 0: without sound
    audio_bands: int = 256  # numbers of one audio latent frame
    logvar: bool = False  # beside the latents, of tokenizers that have one

    def __post_init__(self):
        for name in ("channels", "text_length", "audio_bands"):
            check_at_least(self, name, 1)
        if not 0 < self.fps <= 1000:
            raise ConfigError(f"--fps={self.fps}: more than 0, at most 1000 would work")
        if not self.shard_mib > 0:
            raise ConfigError(f"--shard-mib={self.shard_mib}: more than 0 would work")
        if not 0 <= self.validation_sources < 1:
            raise ConfigError(
                f"--validation-sources={self.validation_sources}: 0, or less than 1, "
                f"would work"
            )
        check_known("tokenizer", self.tokenizer, fitted_kinds())
        if self.logvar and not KINDS[self.tokenizer].has_posterior:
            raise ConfigError(
                f"--logvar: the tokenizer {self.tokenizer!r} says one latent of a clip and no "
                f"variance; without --logvar it would work"
            )
        check_name(self.text_encoder)
        if self.audio_rate not in (0, *RATES):
            near = min(RATES, key=lambda rate: abs(rate - self.audio_rate))
            raise ConfigError(
                f"--audio-rate={self.audio_rate} is not a rate that samples can be written "
                f"at: {near}, or 0 for none, would work"
            )
        self.parsed_buckets()

    @property
    def audio(self) -> Mdct | None:
        """What makes audio latents; None: without sound."""
        return Mdct.of(self.audio_rate, self.audio_bands) if self.audio_rate else None

    def parsed_buckets(self) -> tuple[Bucket, ...]:
        return parse_buckets(self.buckets, KINDS[self.tokenizer].strides)
