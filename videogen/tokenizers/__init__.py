"""Pixels <-> latents: one file per kind of tokenizer, all as base.py describes."""

import dataclasses
import os
import pathlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from videogen.core.errors import ConfigError, DataError, suggest
from videogen.tokenizers.base import Tokenizer, TokenizerFitter
from videogen.tokenizers.linear import STRIDES, Fitter, LinearTokenizer
from videogen.tokenizers.mdct import Mdct
from videogen.tokenizers.stated import NO_FILE, StatedTokenizer


@dataclasses.dataclass(frozen=True, kw_only=True)
class Kind:
    """One kind of tokenizer, by functions."""

    strides: tuple[int, int, int]
    load: Callable[[pathlib.Path], Any]  # what `save` wrote -> Tokenizer, a dataclass
    fitter: Callable[[], TokenizerFitter] | None = None  # None: it has weights already
    has_posterior: bool = False  # its tokenizers are `base.PosteriorTokenizer`s


KINDS: dict[str, Kind] = {
    "linear": Kind(strides=STRIDES, load=LinearTokenizer.load, fitter=Fitter),
}


def fitted_kinds() -> tuple[str, ...]:
    """The kinds that are fitted to a dataset's own pixels."""
    return tuple(name for name, kind in KINDS.items() if kind.fitter)


def make_fitter(name: str) -> TokenizerFitter:
    """An empty fitter of a kind. ConfigError for one that is unknown or not fitted."""
    kind = KINDS.get(name)
    if kind is None or kind.fitter is None:
        raise ConfigError(
            f"tokenizer {name!r} cannot be fitted{suggest(name, fitted_kinds())}"
        )
    return kind.fitter()


def load(
    directory: str | os.PathLike[str],
    *,
    name: str,
    file: str,
    fingerprint: str,
    strides: tuple[int, int, int],
    channels: int,
    mean: Sequence[float],
    std: Sequence[float],
) -> Tokenizer:
    """The tokenizer saved as `file`, with a dataset's constants mean and std.

    The arguments are TokenizerInfo's fields. Without a file it is what they state, whatever
    the fingerprint. Raises DataError for an unknown kind, a missing or damaged file, or a
    tokenizer other than the one of this fingerprint.
    """
    constants = {
        "mean_C": np.asarray(mean, np.float32),
        "std_C": np.asarray(std, np.float32),
    }
    if file == NO_FILE:
        return StatedTokenizer(
            name=name, strides=strides, channels=channels, **constants
        )
    path = pathlib.Path(directory, file)
    if name not in KINDS:
        raise DataError(
            f"{path}: unknown tokenizer kind {name!r}{suggest(name, KINDS)}"
        )
    tokenizer = KINDS[name].load(path)
    if tokenizer.fingerprint != fingerprint:
        raise DataError(
            f"{path}: fingerprint {tokenizer.fingerprint[:16]}, but {fingerprint[:16]} "
            "made these latents; copy the tokenizer file of that encoding here"
        )
    return dataclasses.replace(tokenizer, **constants)


def make_audio(
    *,
    name: str,
    rate: int,
    channels: int,
    fingerprint: str,
    mean: Sequence[float],
    std: Sequence[float],
) -> Mdct:
    """The audio tokenizer of a dataset. DataError for one that is not here."""
    mdct = Mdct.of(rate, channels)
    if (name, fingerprint) != (mdct.name, mdct.fingerprint):
        raise DataError(
            f"audio tokenizer {name!r} {fingerprint[:16]} made these latents, but here is "
            f"{mdct.name!r} {mdct.fingerprint[:16]}: encode the dataset again"
        )
    constants = {
        "mean_C": np.asarray(mean, np.float32),
        "std_C": np.asarray(std, np.float32),
    }
    return dataclasses.replace(mdct, **constants)
