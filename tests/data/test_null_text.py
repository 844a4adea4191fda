"""The null text comes back as written, or not at all."""

import pathlib

import numpy as np
import pytest

from videogen.core.errors import DataError
from videogen.data.null_text import load_null_text, write_null_text

TEXT_LD = np.arange(6, dtype=np.float32).reshape(2, 3)


def test_there_and_back(tmp_path):
    crc32 = write_null_text(tmp_path, "v1", TEXT_LD)
    np.testing.assert_array_equal(load_null_text(tmp_path, "v1", crc32), TEXT_LD)
    assert [path.name for path in tmp_path.iterdir()] == ["null_text-v1.safetensors"]


def test_damage_and_other_files_are_refused(tmp_path):
    crc32 = write_null_text(tmp_path, "v1", TEXT_LD)
    write_null_text(tmp_path, "v1", TEXT_LD + 1)
    with pytest.raises(
        DataError, match="null_text-v1.*: checksum .* dataset.json says"
    ):
        load_null_text(tmp_path, "v1", crc32)
    with pytest.raises(DataError, match="null_text-v2.*: cannot be read: No such file"):
        load_null_text(tmp_path, "v2", crc32)


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    crc32 = write_null_text(tmp_path, "v1", TEXT_LD)

    def full(path, content):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(pathlib.Path, "write_bytes", full)
        with pytest.raises(DataError, match="cannot be written: No space left"):
            write_null_text(tmp_path, "v1", TEXT_LD + 1)
    np.testing.assert_array_equal(load_null_text(tmp_path, "v1", crc32), TEXT_LD)
    assert len(list(tmp_path.iterdir())) == 1
