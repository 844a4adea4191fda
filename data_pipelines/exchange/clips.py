"""A record's tensors -> its clips: by names, with a star for what differs, and by rows.

A tensor of rank 5 is of several clips, one a row; so are then the text and the mask of its
name. What a star of the latents' name stands for names the clip, and stands in the others'.
"""

import dataclasses
import re
from collections.abc import Iterator

import numpy as np

from data_pipelines.exchange.record import Record, Tensor, named
from data_pipelines.quarantine import Reject
from videogen.data.records import BFLOAT16

CHANNELS_LAST = "FHWC"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Keys:
    """The names of tensors, "" for one that there is not, and what a clip's latent is like."""

    latents: str
    channels: int
    text: str = ""
    text_mask: str = ""
    logvar: str = ""
    image: str = ""
    layout: str = "CFHW"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Constants:
    """How a source normalised: (latent - mean) / std of each channel; None: not at all."""

    mean: tuple[float, ...]
    std: tuple[float, ...]

    def undo(self, z_FHWC: np.ndarray) -> np.ndarray:
        return z_FHWC * np.array(self.std, np.float32) + np.array(self.mean, np.float32)


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Clip:
    """One clip of a record, its arrays read when they are asked for."""

    star: str
    row: int  # of a tensor of rank 5; else 0
    rows: int
    record: Record
    keys: Keys

    def latent_FHWC(self, constants: Constants | None) -> np.ndarray:
        """bfloat16, unnormalised. Reject(BAD_TENSOR) for what no dataset holds."""
        latent_FHWC = self._latent(self.keys.latents)
        if constants is not None:
            latent_FHWC = constants.undo(latent_FHWC.astype(np.float32))
        return _finite(latent_FHWC, self.keys.latents)

    def logvar_FHWC(self, constants: Constants | None) -> np.ndarray | None:
        """Of the latent above: where it was scaled by std, the log variance was by std^2."""
        if not self.keys.logvar:
            return None
        logvar_FHWC = self._latent(self.keys.logvar)
        if constants is not None:
            shift_C = 2 * np.log(np.array(constants.std, np.float32))
            logvar_FHWC = logvar_FHWC.astype(np.float32) + shift_C
        return _finite(logvar_FHWC, self.keys.logvar)

    def text_LD(self) -> np.ndarray | None:
        """bfloat16, the valid tokens: those of the mask, else all but zeros at the end."""
        if not self.keys.text:
            return None
        text_LD = self._of_row(self.keys.text, 2)
        if self.keys.text_mask:
            mask_L = self._of_row(self.keys.text_mask, 1).astype(bool)
            if mask_L.shape != text_LD.shape[:1]:
                raise Reject(
                    "BAD_TENSOR", f"mask of {mask_L.shape} and text of {text_LD.shape}"
                )
            text_LD = text_LD[mask_L]
        else:
            valid_L = np.flatnonzero(text_LD.any(axis=1))
            text_LD = text_LD[: valid_L[-1] + 1 if len(valid_L) else 0]
        return _finite(text_LD, self.keys.text)

    def image_LD(self) -> np.ndarray | None:
        """bfloat16, the tokens of its first frame."""
        if not self.keys.image:
            return None
        return _finite(self._of_row(self.keys.image, 2), self.keys.image)

    def _latent(self, key: str) -> np.ndarray:
        values = self._of_row(key, 4)
        if values.dtype.kind in "iub":
            raise Reject("BAD_TENSOR", f"{key} is of {values.dtype}: no latents")
        order = [self.keys.layout.index(dim) for dim in CHANNELS_LAST]
        latent_FHWC = values.transpose(order)
        channels = self.keys.channels
        if latent_FHWC.shape[-1] != channels or 0 in latent_FHWC.shape:
            raise Reject(
                "BAD_TENSOR",
                f"{key} is (F, H, W, C) = {latent_FHWC.shape}, and the tokenizer has "
                f"{channels} channels",
            )
        return latent_FHWC

    def _of_row(self, key: str, rank: int) -> np.ndarray:
        """Of this clip: of that rank, or a row of one more."""
        name = key.replace("*", self.star)
        tensor = pick(self.record, name)
        if len(tensor.shape) == rank and self.rows == 1:
            return tensor.values
        if len(tensor.shape) != rank + 1 or tensor.shape[0] != self.rows:
            want = (
                f"rank {rank}" if self.rows == 1 else f"{self.rows} rows of rank {rank}"
            )
            raise Reject("BAD_TENSOR", f"{name} of {tensor.shape}: {want} would do")
        return tensor.values[self.row]


def find_clips(record: Record, keys: Keys) -> Iterator[Clip]:
    """Those of a record. Reject(NO_TENSOR) where there is none, BAD_TENSOR by its rank."""
    for star in _stars(record, keys.latents):
        name = keys.latents.replace("*", star)
        shape = pick(record, name).shape
        if len(shape) not in (4, 5):
            raise Reject(
                "BAD_TENSOR",
                f"{name} of {shape}: {','.join(keys.layout)}, or several such, would do",
            )
        rows = shape[0] if len(shape) == 5 else 1
        for row in range(rows):
            yield Clip(star=star, row=row, rows=rows, record=record, keys=keys)


def pick(record: Record, name: str) -> Tensor:
    if name not in record.tensors:
        raise Reject("NO_TENSOR", f"no tensor {name!r} in it: {named(record.tensors)}")
    return record.tensors[name]


def _stars(record: Record, key: str) -> list[str]:
    """What the star stands for in the names that are there, in order; "" without a star."""
    if "*" not in key:
        return [""]
    pattern = re.compile("(.+)".join(map(re.escape, key.split("*"))))
    found = sorted(m[1] for x in record.tensors if (m := pattern.fullmatch(x)))
    if not found:
        raise Reject("NO_TENSOR", f"no tensor {key!r} in it: {named(record.tensors)}")
    return found


def _finite(values: np.ndarray, key: str) -> np.ndarray:
    with np.errstate(over="ignore", invalid="ignore"):  # an overflow shows as inf
        stored = np.ascontiguousarray(values).astype(BFLOAT16)
    if not np.isfinite(stored.astype(np.float32)).all():
        raise Reject(
            "BAD_TENSOR", f"{key} holds values that are not finite in bfloat16"
        )
    return stored
