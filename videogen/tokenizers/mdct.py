"""The modified discrete cosine transform: sound <-> audio latents, without weights.

Frame k of the sound, 2 C samples that start C before sample k C, becomes C numbers, one a
band of frequencies; neighbours overlap by half:

    X_c = sqrt(2 / C) sum_n w_n x_n cos(pi / C (n + 1/2 + C/2) (c + 1/2))
    w_n = sin(pi / (2 C) (n + 1/2))

w_n^2 + w_(n+C)^2 = 1 makes the transform orthonormal, and what overlaps cancel its own
aliases: decode(encode(x)) = x, and sums of squares are kept (Princen and Bradley, IEEE
ASSP 34(5), 1986). As many numbers as samples: nothing is compressed.
"""

import dataclasses
import functools
import hashlib

import jax
import jax.numpy as jnp
import numpy as np

from videogen.core.types import Array

# Samples a second that AAC, and so an mp4, can hold.
RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 88200, 96000)
# The standard deviation of rounding to 16 bits, of samples in [-1, 1]: a band below it
# holds nothing that is heard, and dividing by less would blow rounding up.
SCALE_FLOOR = 2.0**-15 / 12**0.5


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Mdct:
    """Mono sound at `rate` samples a second <-> frames of `channels` bands.

    mean_C, std_C: measured over a dataset, for `tokenizers.base.normalise`.
    """

    rate: int
    channels: int
    mean_C: np.ndarray
    std_C: np.ndarray
    name = "mdct"

    @classmethod
    def of(cls, rate: int, channels: int) -> "Mdct":
        """Without constants of a dataset."""
        zeros, ones = np.zeros(channels, np.float32), np.ones(channels, np.float32)
        return cls(rate=rate, channels=channels, mean_C=zeros, std_C=ones)

    @property
    def fingerprint(self) -> str:
        """sha256 of what decides a latent."""
        return hashlib.sha256(
            f"mdct 1 {self.rate} {self.channels}".encode()
        ).hexdigest()

    @property
    def frame_rate(self) -> float:
        """Audio frames a second."""
        return self.rate / self.channels

    def num_samples(self, seconds: float) -> int:
        """Of a sound of that length."""
        return round(seconds * self.rate)

    def num_frames(self, num_samples: int) -> int:
        """A: so many that every sample is in two of them."""
        return 1 - (-num_samples // self.channels)

    def encode(self, sound_BS: Array) -> Array:
        """audio_BAC of samples in [-1, 1]; zeros stand before and after. Jittable."""
        channels, num_samples = self.channels, sound_BS.shape[1]
        num_frames = self.num_frames(num_samples)
        after = num_frames * channels - num_samples
        padded = jnp.pad(sound_BS, ((0, 0), (channels, after)))
        blocks = padded.reshape(len(sound_BS), num_frames + 1, channels)
        frames = jnp.concatenate([blocks[:, :-1], blocks[:, 1:]], axis=2)
        return _matmul(frames, basis(channels))

    def decode(self, audio_BAC: Array) -> Array:
        """sound_BS of (A - 1) C samples: what was encoded, and zeros to its last frame."""
        frames = _matmul(audio_BAC, basis(self.channels).T)
        first, second = jnp.split(frames, 2, axis=2)
        return (second[:, :-1] + first[:, 1:]).reshape(len(audio_BAC), -1)


@functools.cache
def basis(channels: int) -> np.ndarray:
    """float32 (2 C, C): the windowed cosines, orthonormal with their neighbours'."""
    n, c = np.ogrid[: 2 * channels, :channels]
    window = np.sin(np.pi / (2 * channels) * (n + 0.5))
    angle = np.pi / channels * (n + 0.5 + channels / 2) * (c + 0.5)
    return (np.sqrt(2 / channels) * window * np.cos(angle)).astype(np.float32)


# On TPUs the default precision rounds inputs to bfloat16: not here, it codes samples.
_matmul = functools.partial(jnp.matmul, precision=jax.lax.Precision.HIGHEST)
