"""Safetensors by their offsets: what the library wrote, or a code."""

import json

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import save_file

from data_pipelines.exchange.safetensor import read_safetensors
from data_pipelines.quarantine import Reject

TENSORS = {
    "a": np.arange(24, dtype=np.float32).reshape(2, 3, 4),
    "b": np.array([1, 0.5, -3], np.float16),
    "c": np.arange(6).reshape(2, 3).astype(ml_dtypes.bfloat16),
    "mask": np.array([True, False]),
    "empty": np.zeros((0, 3), np.float64),
}


@pytest.fixture
def path(tmp_path):
    save_file(TENSORS, tmp_path / "a.safetensors", {"caption": "a wave"})
    return tmp_path / "a.safetensors"


def test_the_librarys_files(path):
    (record,) = read_safetensors(str(path))
    assert record.facts == {"caption": "a wave"}
    assert record.tensors.keys() == TENSORS.keys()
    for name, values in TENSORS.items():
        read = record.tensors[name]
        assert (read.shape, read.values.dtype) == (values.shape, values.dtype)
        np.testing.assert_array_equal(read.values, values)


def header(**entry):
    entry = {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]} | entry
    text = json.dumps({"a": entry}).encode()
    return len(text).to_bytes(8, "little") + text + bytes(4)


@pytest.mark.parametrize(
    "content, code",
    [
        (b"", "UNREADABLE"),
        (b"\xff" * 40, "UNREADABLE"),
        (b"\x10" + bytes(7) + b"{", "TRUNCATED"),
        (b"\x02" + bytes(7) + b"[]", "UNREADABLE"),
        (b"\x02" + bytes(7) + b"{x", "UNREADABLE"),
        (header(data_offsets=[0, 40]), "TRUNCATED"),
        (header(data_offsets=[4, 0]), "UNREADABLE"),
        (header(shape=[-1]), "UNREADABLE"),
        (header(shape="x"), "UNREADABLE"),
        (header(shape=[2]), "BAD_TENSOR"),
        (header(shape=[1 << 62, 1 << 62]), "BAD_TENSOR"),
        (header(dtype="F8_E4M3"), "BAD_TENSOR"),
    ],
)
def test_files_that_are_not(tmp_path, content, code):
    path = tmp_path / "a.safetensors"
    path.write_bytes(content)
    with pytest.raises(Reject) as error:
        (record,) = read_safetensors(str(path))
        _ = record.tensors["a"].values
    assert error.value.code == code
