"""The embedding of the empty caption, kept beside the dataset: what a dropped text is.

null_text-<version>.safetensors holds {"text": float32 (l, D)}, the valid tokens only.
"""

import os
import pathlib

import numpy as np
import safetensors
import safetensors.numpy

from videogen.core.errors import DataError


def write_null_text(
    directory: str | os.PathLike[str], version: str, text_LD: np.ndarray
) -> None:
    """Writes the file of a text version. Before dataset.json, which comes last."""
    tensors = {"text": np.ascontiguousarray(text_LD, np.float32)}
    path = pathlib.Path(directory, _file(version))
    try:
        path.write_bytes(safetensors.numpy.save(tensors))
    except OSError as error:
        raise DataError(f"{path}: cannot be written: {error.strerror}") from error


def load_null_text(directory: str | os.PathLike[str], version: str) -> np.ndarray:
    """text_LD float32 of the empty caption; DataError when missing or damaged."""
    path = pathlib.Path(directory, _file(version))
    try:
        return safetensors.numpy.load_file(path)["text"]
    except (OSError, safetensors.SafetensorError, KeyError) as error:
        raise DataError(f"{path}: not a null text file: {error}") from error


def _file(version: str) -> str:
    return f"null_text-{version}.safetensors"
