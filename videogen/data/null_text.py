"""The embedding of the empty caption, kept beside the dataset: what a dropped text is.

null_text-<version>.safetensors holds {"text": float32 (l, D)}, the valid tokens only.
"""

import os
import pathlib
import zlib

import numpy as np
import safetensors.numpy

from videogen.core.errors import DataError
from videogen.data.writer import write_file


def write_null_text(
    directory: str | os.PathLike[str], version: str, text_LD: np.ndarray
) -> int:
    """Writes the file of a text version; its crc32. Before dataset.json, which is last."""
    tensors = {"text": np.ascontiguousarray(text_LD, np.float32)}
    content = safetensors.numpy.save(tensors)
    write_file(pathlib.Path(directory, _file(version)), content)
    return zlib.crc32(content)


def load_null_text(
    directory: str | os.PathLike[str], version: str, crc32: int
) -> np.ndarray:
    """text_LD float32 of the empty caption.

    Raises DataError when the file is missing, damaged, or not the one of this checksum.
    """
    path = pathlib.Path(directory, _file(version))
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    if zlib.crc32(content) != crc32:
        raise DataError(
            f"{path}: checksum {zlib.crc32(content):08x}, but dataset.json says "
            f"{crc32:08x}; copy this file again, or encode the dataset again"
        )
    return safetensors.numpy.load(content)["text"]


def _file(version: str) -> str:
    return f"null_text-{version}.safetensors"
