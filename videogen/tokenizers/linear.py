"""The Karhunen-Loeve transform of spacetime cuboids: a tokenizer fitted in closed form.

A clip is cut into cuboids of stride_t x stride_h x stride_w pixels (the first frame,
coded alone, into 1 x stride_h x stride_w). For cuboids x of mean m and covariance
V diag(s^2) V', eigenvalues sorted downwards, the latent keeps the first C components,
each of unit variance:

    encode(x) = diag(1/s_C) V_C' (x - m)        decode(z) = V_C diag(s_C) z + m

V_C is orthonormal, so encode(decode(z)) = z, and decode(encode(x)) is the orthogonal
projection of x: of all linear codes with C numbers, the one of least squared error
(Jolliffe, Principal Component Analysis, 2002, sec. 2.1).
"""

import dataclasses
import functools
import hashlib
import os
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import safetensors
import safetensors.numpy

from videogen.core.errors import DataError
from videogen.core.types import Array
from videogen.tokenizers.base import latent_shape
from videogen.tokenizers.levels import pixels_of

STRIDES = (4, 8, 8)
# The standard deviation of rounding to 8 bits, in units of [-1, 1]. A component
# below it shows nothing on a screen; dividing by less would blow rounding noise up.
SCALE_FLOOR = (2 / 255) / 12**0.5
_MIDDLE, _EXACT = 128, 1024  # of 8-bit levels; rows (_Moments)


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Basis:
    """The kept components of one kind of cuboid; t, h, w are the cuboid's strides."""

    vectors_thw3C: np.ndarray  # float32, orthonormal over (t, h, w, 3)
    scale_C: np.ndarray  # float32, > 0: standard deviations
    mean_thw3: np.ndarray  # float32


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class LinearTokenizer:
    """A fitted transform; see the module. Implements `tokenizers.base.Tokenizer`."""

    first: Basis  # of the first frame alone
    rest: Basis  # of every later group of stride_t frames
    mean_C: np.ndarray  # measured over a whole dataset; 0 and 1 as fitted
    std_C: np.ndarray
    name = "linear"

    @property
    def strides(self) -> tuple[int, int, int]:
        stride_t, stride_h, stride_w = self.rest.vectors_thw3C.shape[:3]
        return stride_t, stride_h, stride_w

    @property
    def channels(self) -> int:
        return self.rest.scale_C.size

    @property
    def fingerprint(self) -> str:
        """sha256 over the bases (not over mean_C and std_C: they change no latent)."""
        digest = hashlib.sha256(b"videogen linear tokenizer 1")
        for name, array in sorted(self._tensors().items()):
            digest.update(f"{name}{array.shape}".encode() + array.tobytes())
        return digest.hexdigest()

    def encode(self, pixels_BTHWC: Array) -> Array:
        """latent_BFHWC of pixels in [-1, 1]. ValueError as `latent_shape`. Jittable."""
        frames, height, width = pixels_BTHWC.shape[1:4]
        latent_shape(frames, height, width, self.strides)
        parts = (pixels_BTHWC[:, :1], self.first), (pixels_BTHWC[:, 1:], self.rest)
        return jnp.concatenate([_encode(x, basis) for x, basis in parts], axis=1)

    def encode_levels(self, levels_BTHWC: np.ndarray) -> np.ndarray:
        """`encode` of the pixels of uint8 levels; on CPUs to the bit, for a third."""
        frames, height, width = levels_BTHWC.shape[1:4]
        latent_shape(frames, height, width, self.strides)
        parts = (levels_BTHWC[:, :1], self.first), (levels_BTHWC[:, 1:], self.rest)
        return np.concatenate([_encode_levels(x, basis) for x, basis in parts], axis=1)

    def decode(self, latent_BFHWC: Array) -> Array:
        """pixels_BTHWC in [-1, 1] (not clipped) of unnormalised latents. Jittable."""
        parts = (latent_BFHWC[:, :1], self.first), (latent_BFHWC[:, 1:], self.rest)
        return jnp.concatenate([_decode(z, basis) for z, basis in parts], axis=1)

    def save(self, directory: str) -> str:
        """Writes tokenizer-<fingerprint8>.safetensors atomically; returns the name."""
        file = f"tokenizer-{self.fingerprint[:8]}.safetensors"
        path = pathlib.Path(directory, file)
        part = path.with_name(f".{file}.{os.getpid()}")
        metadata = {
            "fingerprint": self.fingerprint
        }  # one key: their order is not fixed
        try:
            part.write_bytes(safetensors.numpy.save(self._tensors(), metadata))
            part.replace(path)
        except OSError as error:
            raise DataError(f"{path}: cannot be written: {error.strerror}") from error
        return file

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "LinearTokenizer":
        """Reads what `save` wrote; mean 0, std 1. DataError when damaged or missing."""
        try:
            tensors = safetensors.numpy.load_file(path)
            first, rest = (
                Basis(**{f.name: tensors[f"{part}.{f.name}"] for f in _FIELDS})
                for part in ("first", "rest")
            )
        except (OSError, safetensors.SafetensorError, KeyError) as error:
            raise DataError(f"{path}: not a linear tokenizer file: {error}") from error
        return cls(first=first, rest=rest, **_unit_constants(rest.scale_C.size))

    def _tensors(self) -> dict[str, np.ndarray]:
        return {
            f"{part}.{field.name}": np.ascontiguousarray(
                getattr(getattr(self, part), field.name)
            )
            for part in ("first", "rest")
            for field in _FIELDS
        }


class Fitter:
    """One pass over levels: counts, sums and second moments of both kinds of cuboid.

    Of 8-bit levels every sum is a whole number below 2^53 (up to 1e11 cuboids) and float64
    holds it exactly: the fit is the same to the last bit for any split of the clips over
    workers and any order of merging.
    """

    def __init__(self, strides: tuple[int, int, int] = STRIDES):
        self.strides = strides
        stride_t, stride_h, stride_w = strides
        self._first = _Moments((1, stride_h, stride_w, 3))
        self._rest = _Moments((stride_t, stride_h, stride_w, 3))

    def update(self, levels_BTHWC: np.ndarray) -> None:
        """Adds clips, uint8. Raises ValueError as latent_shape."""
        assert levels_BTHWC.dtype == np.uint8, levels_BTHWC.dtype
        frames, height, width = levels_BTHWC.shape[1:4]
        latent_shape(frames, height, width, self.strides)
        self._first.add(levels_BTHWC[:, :1])
        self._rest.add(levels_BTHWC[:, 1:])

    def merge(self, other: "Fitter") -> None:
        """Adds what `other` has seen."""
        if self.strides != other.strides:
            raise ValueError(f"strides differ: {self.strides} and {other.strides}")
        self._first.merge(other._first)
        self._rest.merge(other._rest)

    def finish(self, channels: int = 16) -> LinearTokenizer:
        """The transform that keeps `channels` components. ValueError without clips."""
        if not self._first.count:
            raise ValueError("no clips to fit the linear tokenizer on")
        if not 0 < channels <= self._first.total.size:
            raise ValueError(
                f"channels={channels}: 1 to {self._first.total.size} would work"
            )
        return LinearTokenizer(
            first=self._first.basis(channels),
            rest=self._rest.basis(channels),
            **_unit_constants(channels),
        )


class _Moments:
    """Count, sum and second moment of cuboids of one shape, in 8-bit levels less 128.

    Of `_EXACT` such rows every product and sum is a whole number of at most 2^24: float32
    holds it exactly, at half the price.
    """

    def __init__(self, shape: tuple[int, int, int, int]):
        size = int(np.prod(shape))
        self.shape = shape
        self.count = 0
        self.total = np.zeros(size)
        self.second = np.zeros((size, size))

    def add(self, levels_BTHWC: np.ndarray) -> None:
        for clip_THWC in levels_BTHWC:  # one clip at a time bounds the memory
            blocks = _blocks(clip_THWC[None], self.shape[:3])
            rows = blocks.transpose(0, 1, 3, 5, 2, 4, 6, 7).reshape(-1, self.total.size)
            self.count += len(rows)
            for start in range(0, len(rows), _EXACT):
                part = rows[start : start + _EXACT].astype(np.float32) - _MIDDLE
                self.total += part.sum(axis=0)
                self.second += part.T @ part

    def merge(self, other: "_Moments") -> None:
        self.count += other.count
        self.total = self.total + other.total
        self.second = self.second + other.second

    def sums(self) -> tuple[np.ndarray, np.ndarray]:
        """Sum and second moment of the levels themselves, exact too."""
        moved = _MIDDLE * self.total
        second = self.second + moved[:, None] + moved + self.count * _MIDDLE**2
        return self.total + self.count * _MIDDLE, second

    def basis(self, channels: int) -> Basis:
        """The leading eigenvectors of the covariance, in units of [-1, 1]."""
        total, second = self.sums()
        mean = total / max(self.count, 1)
        covariance = second / max(self.count, 1) - np.outer(mean, mean)
        variance, vectors = np.linalg.eigh(covariance / 127.5**2)
        variance = variance[::-1][:channels]
        vectors = vectors[:, ::-1][:, :channels]
        # An eigenvector's sign is free: make its largest entry positive.
        largest = np.argmax(np.abs(vectors), axis=0)
        vectors = vectors * np.sign(vectors[largest, np.arange(channels)])
        scale = np.maximum(np.sqrt(np.maximum(variance, 0)), SCALE_FLOOR)
        return Basis(
            vectors_thw3C=vectors.reshape(*self.shape, channels).astype(np.float32),
            scale_C=scale.astype(np.float32),
            mean_thw3=(mean / 127.5 - 1).reshape(self.shape).astype(np.float32),
        )


_FIELDS = dataclasses.fields(Basis)
# On TPUs the default precision rounds inputs to bfloat16: not here, it codes pixels.
_einsum = functools.partial(jnp.einsum, precision=jax.lax.Precision.HIGHEST)


def _unit_constants(channels: int) -> dict[str, np.ndarray]:
    return {
        "mean_C": np.zeros(channels, np.float32),
        "std_C": np.ones(channels, np.float32),
    }


def _blocks(pixels_BTHWC, strides):
    """(B, F, t, H, h, W, w, 3): cuboids apart, numpy or jax."""
    batch, frames, height, width, _ = pixels_BTHWC.shape
    t, h, w = strides
    return pixels_BTHWC.reshape(batch, frames // t, t, height // h, h, width // w, w, 3)


def _encode(pixels_BTHWC: Array, basis: Basis) -> Array:
    blocks = _blocks(pixels_BTHWC, basis.mean_thw3.shape[:3])
    centred = blocks - basis.mean_thw3[:, None, :, None]
    return _einsum(
        "bftihjwc,thwcz->bfijz", centred, basis.vectors_thw3C / basis.scale_C
    )


def _encode_levels(levels_BTHWC: np.ndarray, basis: Basis) -> np.ndarray:
    """As `_encode`: bytes are moved before they are numbers of four, and summed in its order.

    `_encode` sums over c, h, t, w: in another order the last bits would be others.
    """
    t, h, w, _, channels = basis.vectors_thw3C.shape
    batch, frames, height, width, _ = levels_BTHWC.shape
    blocks = _blocks(levels_BTHWC, (t, h, w)).transpose(0, 1, 3, 5, 7, 4, 2, 6)
    vectors = basis.vectors_thw3C / basis.scale_C
    latent_NC = _project(
        blocks.reshape(-1, 3 * h * t * w),
        basis.mean_thw3.transpose(3, 1, 0, 2).ravel(),
        vectors.transpose(3, 1, 0, 2, 4).reshape(-1, channels),
    )
    shape = batch, frames // t, height // h, width // w, channels
    return np.asarray(latent_NC).reshape(shape)


@jax.jit
def _project(levels_NK, mean_K, vectors_KC):
    centred_NK = pixels_of(levels_NK) - mean_K
    return _einsum("nk,kc->nc", centred_NK, vectors_KC)


def _decode(latent_BFHWC: Array, basis: Basis) -> Array:
    batch, frames, height, width, _ = latent_BFHWC.shape
    t, h, w, _ = basis.mean_thw3.shape
    blocks = _einsum(
        "bfijz,thwcz->bftihjwc", latent_BFHWC, basis.vectors_thw3C * basis.scale_C
    )
    blocks = blocks + basis.mean_thw3[:, None, :, None]
    return blocks.reshape(batch, frames * t, height * h, width * w, 3)
