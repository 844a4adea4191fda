"""One record of each kind (schema.py), and its way back: rows <-> bytes."""

import dataclasses
import math
from typing import Any

import ml_dtypes
import numpy as np

from videogen.core.errors import DataError
from videogen.data import example

_MADE_BY = ("model", "kind", "reason")  # of a caption, where known
_CACHED = 1 << 17  # numbers that a core's cache holds from the first look to the second
_most = np.maximum.reduce  # what np.max comes to
BFLOAT16 = np.dtype(ml_dtypes.bfloat16)  # little endian on every host that runs JAX


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class LatentRow:
    """A clip: its latent (F, H, W, C) in bfloat16, unnormalised, and its facts.

    With a log variance the latent is the mean of a posterior; without, all there is.
    """

    id: str
    source_id: str
    latent_FHWC: np.ndarray
    fps: float
    start_s: float
    num_frames: int
    height: int
    width: int
    label: int
    logvar_FHWC: np.ndarray | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class CaptionRow:
    """A caption, by which model and of which kind; "" where that is not known."""

    id: str
    caption: str  # "" when null
    is_null: bool
    model: str = ""
    kind: str = ""
    reason: str = ""  # why it is null


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class TextRow:
    id: str
    text_LD: np.ndarray  # bfloat16, the valid tokens only


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class ImageRow:
    id: str
    image_LD: np.ndarray  # bfloat16


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class AudioRow:
    id: str
    audio_AC: np.ndarray  # bfloat16, unnormalised
    heard: bool


def latent_record(
    *,
    id: str,
    source_id: str,
    latent_FHWC: np.ndarray,
    fps: float,
    start_s: float,
    num_frames: int,
    height: int,
    width: int,
    label: int = -1,
    logvar_FHWC: np.ndarray | None = None,
) -> bytes:
    """Record of a clip. ValueError for a latent that is not 4-d or not finite."""
    latent_FHWC = np.asarray(latent_FHWC)
    if latent_FHWC.ndim != 4:
        raise ValueError(
            f"clip {id}: latent of shape {latent_FHWC.shape} is not F,H,W,C"
        )
    latent_FHWC = _finite_bfloat16(latent_FHWC, id, "latent")
    posterior = {}
    if logvar_FHWC is not None:
        if np.shape(logvar_FHWC) != latent_FHWC.shape:
            raise ValueError(f"clip {id}: log variance of {np.shape(logvar_FHWC)}")
        logvar = _finite_bfloat16(np.asarray(logvar_FHWC), id, "logvar")
        posterior = {"logvar": logvar.tobytes()}
    return example.encode(
        {
            "id": id.encode(),
            "source_id": source_id.encode(),
            "latent": latent_FHWC.tobytes(),
            "latent/shape": latent_FHWC.shape,
            "fps": float(fps),
            "start_s": float(start_s),
            "num_frames": num_frames,
            "height": height,
            "width": width,
            "label": label,
            **posterior,
        }
    )


def caption_record(*, id: str, caption: str | None, **made_by: str) -> bytes:
    """Record of a caption; None marks a clip without one. made_by: model, kind, reason."""
    text = (caption or "").encode()
    assert made_by.keys() <= set(_MADE_BY), made_by
    return example.encode(
        {
            "id": id.encode(),
            "caption": text,
            "is_null": int(caption is None),
            **{name: value.encode() for name, value in made_by.items()},
        }
    )


def text_record(*, id: str, text_LD: np.ndarray) -> bytes:
    """Record of the embeddings of the valid tokens, (l, D) with l >= 0."""
    return example.encode(_matrix(id, "text", text_LD, "l, D"))


def image_record(*, id: str, image_LD: np.ndarray) -> bytes:
    """Record of the embeddings of an image's tokens, (L, D)."""
    return example.encode(_matrix(id, "image", image_LD, "L, D"))


def audio_record(*, id: str, audio_AC: np.ndarray, heard: bool) -> bytes:
    """Record of a clip's sound, (A, C); not `heard`: the clip has none."""
    audio = _matrix(id, "audio", audio_AC, "A, C")
    return example.encode({**audio, "heard": int(heard)})


def parse_latent(record: bytes, into_FHWC: np.ndarray | None = None) -> LatentRow:
    """The row of a record; its latent a view of it, or, of its shape, `into_FHWC`."""
    features = _features(record, "latent")
    return LatentRow(
        id=bytes(features["id"][0]).decode(),
        source_id=bytes(features["source_id"][0]).decode(),
        latent_FHWC=_array(features, "latent", into=into_FHWC),
        logvar_FHWC=_array(features, "logvar", "latent/shape")
        if "logvar" in features
        else None,
        **{
            name: features[name][0]
            for name in ("fps", "start_s", "num_frames", "height", "width", "label")
        },
    )


def parse_caption(record: bytes) -> CaptionRow:
    features = _features(record, "caption")
    return CaptionRow(
        id=bytes(features["id"][0]).decode(),
        caption=bytes(features["caption"][0]).decode(),
        is_null=bool(features["is_null"][0]),
        **{
            name: bytes(features[name][0]).decode()
            for name in _MADE_BY
            if name in features
        },
    )


def parse_text(record: bytes) -> TextRow:
    features = _features(record, "text")
    return TextRow(
        id=bytes(features["id"][0]).decode(), text_LD=_array(features, "text")
    )


def parse_image(record: bytes) -> ImageRow:
    features = _features(record, "image")
    return ImageRow(
        id=bytes(features["id"][0]).decode(), image_LD=_array(features, "image")
    )


def parse_audio(record: bytes) -> AudioRow:
    features = _features(record, "audio")
    return AudioRow(
        id=bytes(features["id"][0]).decode(),
        audio_AC=_array(features, "audio"),
        heard=bool(features["heard"][0]),
    )


def _matrix(id: str, kind: str, values: np.ndarray, dims: str) -> dict[str, Any]:
    """The fields of a record of one array of two dims."""
    values = np.asarray(values)
    if values.ndim != 2:
        raise ValueError(f"clip {id}: {kind} of shape {values.shape} is not {dims}")
    content = _finite_bfloat16(values, id, kind).tobytes()
    return {"id": id.encode(), kind: content, f"{kind}/shape": values.shape}


def _finite_bfloat16(values: np.ndarray, id: str, kind: str) -> np.ndarray:
    with np.errstate(over="ignore"):  # an overflow shows as inf, below
        values = values.astype(BFLOAT16)
    if not np.isfinite(values.astype(np.float32)).all():
        raise ValueError(f"clip {id}: {kind} holds values that are not finite")
    return values


def _features(record: bytes, kind: str) -> dict[str, list]:
    features = example.decode(record)
    if not features.get("id") or not features.get(kind):
        raise DataError(f"not a {kind} record: it holds {sorted(features)}")
    return features


def _array(
    features: dict[str, list],
    name: str,
    shape_name: str = "",
    into: np.ndarray | None = None,
) -> np.ndarray:
    """A view of the record's bytes, or where they were copied: `into`, of their shape."""
    data, shape = features[name][0], features[shape_name or f"{name}/shape"]
    if len(data) != BFLOAT16.itemsize * math.prod(shape):
        raise DataError(f"{name} of {len(data)} bytes is not bfloat16 of shape {shape}")
    if into is not None and into.shape != tuple(shape):
        into = None
    if not all_finite(data, into):
        raise DataError(f"{name} holds values that are not finite")
    return np.frombuffer(data, BFLOAT16).reshape(shape) if into is None else into


def all_finite(data: bytes | memoryview, into: np.ndarray | None = None) -> bool:
    """Whether no bfloat16 of these bytes is infinite or NaN, at the cost of a read.

    Those have all bits of the exponent: of their sign, the largest as an integer. `into`,
    contiguous, is where they are copied on the way, as far as they are finite.
    """
    given = np.frombuffer(data, np.uint8)
    # A record's bytes may begin anywhere; NumPy is slow on numbers at odd addresses.
    seen = given if into is None else into.reshape(-1).view(np.uint8)
    unsigned, signed = seen.view(np.uint16), seen.view(np.int16)
    for at in range(0, len(unsigned), _CACHED):
        if into is not None:
            part = slice(2 * at, 2 * (at + _CACHED))
            seen[part] = given[part]
        part = slice(at, at + _CACHED)
        if _most(signed[part]) >= 0x7F80 or _most(unsigned[part]) >= 0xFF80:
            return False
    return True
