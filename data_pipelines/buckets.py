"""Buckets: the shapes clips are brought to, and which one a clip goes to."""

import dataclasses
import math
import re
from collections.abc import Sequence

from data_pipelines.clips import SLACK_S
from videogen.core.errors import ConfigError
from videogen.tokenizers.base import latent_shape


@dataclasses.dataclass(frozen=True, kw_only=True)
class Bucket:
    """Clips of one shape, in pixels and in latents; an image is a clip of one frame."""

    frames: int
    height: int
    width: int
    latent: tuple[int, int, int]  # F, H, W

    @property
    def size(self) -> tuple[int, int, int]:
        """Of its clips in pixels: frames, height, width."""
        return self.frames, self.height, self.width

    @property
    def name(self) -> str:
        """Its directory, e.g. "f5_h8_w12"."""
        frames, height, width = self.latent
        return f"f{frames}_h{height}_w{width}"

    def latent_size(self, channels: int) -> int:
        """Bytes of one latent in bfloat16."""
        return 2 * channels * math.prod(self.latent)


def parse_buckets(text: str, strides: tuple[int, int, int]) -> tuple[Bucket, ...]:
    """'17x64x96,1x64x96' -> buckets in that order. Raises ConfigError."""
    buckets = []
    for part in text.split(","):
        if not re.fullmatch(r"\d+x\d+x\d+", part.strip()):
            raise ConfigError(
                f"--buckets={text!r}: {part!r} is no frames x height x width; 17x64x96 "
                f"would work"
            )
        frames, height, width = map(int, part.split("x"))
        try:
            latent = latent_shape(frames, height, width, strides)
        except ValueError as error:
            raise ConfigError(f"--buckets={part.strip()}: {error}") from error
        bucket = Bucket(frames=frames, height=height, width=width, latent=latent)
        if bucket in buckets:
            raise ConfigError(f"--buckets={text!r}: {part.strip()} is there twice")
        buckets.append(bucket)
    return tuple(buckets)


def fits(bucket: Bucket, seconds: float, fps: float) -> bool:
    """Whether so many seconds, from first frame to last, fill the bucket at that rate."""
    return (bucket.frames - 1) / fps <= seconds + SLACK_S


def choose(
    buckets: Sequence[Bucket], *, height: int, width: int, seconds: float, fps: float
) -> Bucket | str:
    """The bucket of a clip, or the code of why it has none.

    Of those that it fills without being enlarged: most frames first, since time is
    dearest; then the nearest aspect, since the rest is cropped; then most pixels.
    """
    filled = [b for b in buckets if b.height <= height and b.width <= width]
    if not filled:
        return "TOO_SMALL"
    filled = [b for b in filled if fits(b, seconds, fps)]
    if not filled:
        return "TOO_SHORT"

    def key(bucket: Bucket) -> tuple[int, float, int]:
        stretch = math.log(bucket.width * height / (bucket.height * width))
        return -bucket.frames, round(abs(stretch), 6), -bucket.height * bucket.width

    return min(filled, key=key)
