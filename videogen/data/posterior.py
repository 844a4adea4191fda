"""Latents drawn from their posteriors: mean + exp(logvar / 2) * noise.

A record may hold the log variance of what its tokenizer's encoder says of a clip, beside the
mean (Kingma and Welling, Auto-Encoding Variational Bayes, 2014, sec. 2.4). Noise is a function
of (seed, step, row of the global batch), as all draws of a batch are: Philox's bits, which
numpy keeps from version to version, by the transform of Box and Muller (1958).
"""

import dataclasses
from collections.abc import Iterable, Iterator

import numpy as np

from videogen.core.errors import DataError
from videogen.data.hashing import draw64
from videogen.data.source import Clip


@dataclasses.dataclass(frozen=True, kw_only=True)
class Posterior:
    """Draws the latents of a step's clips."""

    seed: int

    def __call__(
        self, clips: Iterable[Clip], step: int, row_B: np.ndarray
    ) -> Iterator[Clip]:
        """The clips of these rows, drawn as they come. DataError: no log variance."""
        keys = draw64("posterior", self.seed, step, row_B).tolist()
        return (_drawn(clip, key) for clip, key in zip(clips, keys, strict=True))


def _drawn(clip: Clip, key: int) -> Clip:
    row = clip.latent
    if row.logvar_FHWC is None:
        raise DataError(
            f"clip {row.id} has no log variance: config.data.sample_posterior=False would "
            f"work"
        )
    mean, logvar = (x.astype(np.float32) for x in (row.latent_FHWC, row.logvar_FHWC))
    drawn = mean + np.exp(logvar / 2) * normal(key, mean.shape)
    latent = dataclasses.replace(row, latent_FHWC=drawn.astype(row.latent_FHWC.dtype))
    return dataclasses.replace(clip, latent=latent)


def normal(key: int, shape: tuple[int, ...]) -> np.ndarray:
    """float32 of the standard normal distribution: two of each 64 bits of the key's."""
    size = int(np.prod(shape))
    bits = np.random.Philox(key=key).random_raw((size + 1) // 2)
    # Halves as numbers in (0, 1]: the logarithm is finite.
    first, second = (
        (np.float32(1) + half.astype(np.float32)) * np.float32(2.0**-32)
        for half in (bits >> np.uint64(32), bits & np.uint64(0xFFFFFFFF))
    )
    radius, angle = np.sqrt(-2 * np.log(first)), np.float32(2 * np.pi) * second
    pairs = radius * np.cos(angle), radius * np.sin(angle)
    return np.concatenate(pairs)[:size].reshape(shape)
