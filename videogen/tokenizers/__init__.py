"""Pixels <-> latents: one file per kind of tokenizer, all as base.py describes."""

import dataclasses
import os
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from videogen.core.errors import DataError, suggest
from videogen.tokenizers.base import Tokenizer
from videogen.tokenizers.linear import LinearTokenizer

KINDS: dict[str, Any] = {"linear": LinearTokenizer}


def load(
    directory: str | os.PathLike[str],
    *,
    name: str,
    file: str,
    fingerprint: str,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
) -> Tokenizer:
    """The tokenizer saved as `file`, with a dataset's measured constants mean and std.

    Raises DataError for an unknown kind, a missing or damaged file, or a tokenizer
    other than the one of this fingerprint.
    """
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
    constants = {
        field: np.asarray(values, np.float32)
        for field, values in (("mean_C", mean), ("std_C", std))
        if values is not None
    }
    return dataclasses.replace(tokenizer, **constants)
