"""What every tokenizer offers, embedded or learned: pixels <-> latents, and its own facts."""

from typing import Any, Protocol, runtime_checkable

import numpy as np

from videogen.core.types import Array


@runtime_checkable
class Tokenizer(Protocol):
    """A causal video tokenizer. The first frame is coded alone: F = 1 + (T - 1) / stride_t.

    Pixels are float32 in [-1, 1], shape (B, T, height, width, 3). Latents are float32 and
    *unnormalised*; `mean_C` and `std_C` bring them to zero mean, unit variance:
    z = (latent - mean_C) / std_C. The dataset stores unnormalised latents beside the
    constants, so that a wrong constant never costs a second encoding.
    """

    @property
    def name(self) -> str: ...  # the kind, e.g. "linear"
    @property
    def strides(self) -> tuple[int, int, int]: ...  # (time, height, width)
    @property
    def channels(self) -> int: ...
    @property
    def mean_C(self) -> np.ndarray: ...
    @property
    def std_C(self) -> np.ndarray: ...
    @property
    def fingerprint(self) -> str: ...  # sha256 over everything that changes the latents

    def encode(self, pixels_BTHWC: Array) -> Array:
        """latent_BFHWC of pixels in [-1, 1]. Jittable. Raises ValueError as latent_shape."""
        ...

    def decode(self, latent_BFHWC: Array) -> Array:
        """pixels_BTHWC in [-1, 1] (not clipped) of unnormalised latents. Jittable."""
        ...

    def save(self, directory: str) -> str:
        """Writes the tokenizer into `directory`; returns the file's name."""
        ...


@runtime_checkable
class PosteriorTokenizer(Tokenizer, Protocol):
    """One whose encoder gives a normal distribution; `encode` gives its mean."""

    def encode_posterior(self, pixels_BTHWC: Array) -> tuple[Array, Array]:
        """(mean_BFHWC, logvar_BFHWC), both unnormalised. Jittable."""
        ...


@runtime_checkable
class LevelsTokenizer(Tokenizer, Protocol):
    """One that codes 8-bit levels at less cost than their pixels."""

    def encode_levels(self, levels_BTHWC: np.ndarray) -> np.ndarray:
        """`encode` of the pixels (levels.py) of these uint8; not to be compiled."""
        ...


@runtime_checkable
class TokenizerFitter(Protocol):
    """One pass over pixels that ends in a tokenizer; for kinds without weights of their own.

    Exact: the tokenizer is the same for any split of the clips and order of merging.
    """

    def update(self, levels_BTHWC: np.ndarray) -> None:
        """Adds clips, uint8. Raises ValueError as latent_shape."""
        ...

    def merge(self, other: Any) -> None:
        """Adds what `other`, of the same class, has seen."""
        ...

    def finish(self, channels: int) -> Tokenizer:
        """The tokenizer. ValueError for no clips, or so many channels."""
        ...


def latent_shape(
    num_frames: int, height: int, width: int, strides: tuple[int, int, int]
) -> tuple[int, int, int]:
    """(F, H, W) of a clip, or ValueError naming the dimension that breaks the rule."""
    stride_t, stride_h, stride_w = strides
    if num_frames < 1 or (num_frames - 1) % stride_t:
        low = max(0, (num_frames - 1) // stride_t) * stride_t + 1
        raise ValueError(
            f"num_frames={num_frames} breaks the causal rule T = 1 + {stride_t} k: "
            f"{low} or {low + stride_t} would work"
        )
    for name, size, stride in (
        ("height", height, stride_h),
        ("width", width, stride_w),
    ):
        if size < stride or size % stride:
            raise ValueError(f"{name}={size} is not a multiple of the stride {stride}")
    return 1 + (num_frames - 1) // stride_t, height // stride_h, width // stride_w


def num_frames(latent_frames: int, strides: tuple[int, int, int]) -> int:
    """T of F latent frames: 1 + stride_t (F - 1)."""
    return 1 + strides[0] * (latent_frames - 1)


def normalise(latent_BFHWC: Array, mean_C: np.ndarray, std_C: np.ndarray) -> Array:
    """z = (latent - mean) / std, float32: what the diffusion model sees."""
    return (latent_BFHWC.astype(np.float32) - mean_C) / std_C


def denormalise(z_BFHWC: Array, mean_C: np.ndarray, std_C: np.ndarray) -> Array:
    """latent = std z + mean: what the tokenizer decodes."""
    return z_BFHWC * std_C + mean_C
