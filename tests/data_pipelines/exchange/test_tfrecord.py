"""MaxDiffusion's TFRecords, read without TensorFlow; damage names the record."""

import ml_dtypes
import numpy as np
import pytest
from foreign_files import serialised, write_tfrecord

from data_pipelines.exchange.record import Fault
from data_pipelines.exchange.tensor_proto import parse_tensor
from data_pipelines.exchange.tfrecord import read_tfrecord
from data_pipelines.quarantine import Reject


def rows(count=3):
    random = np.random.default_rng(0)
    return [
        {
            "latents": random.normal(size=(4, 2, 3, 5)).astype(np.float32),
            "encoder_hidden_states": random.normal(size=(6, 7)).astype(np.float32),
            "timesteps": 7,
            "caption": b"a wave",
        }
        for _ in range(count)
    ]


def test_records_hold_what_was_written(tmp_path):
    written = rows()
    path = write_tfrecord(tmp_path / "a.tfrec", written)
    read = list(read_tfrecord(str(path)))
    assert [record.place for record in read] == [0, 1, 2]
    for record, row in zip(read, written, strict=True):
        assert record.facts == {"timesteps": 7, "caption": "a wave"}
        for name in ("latents", "encoder_hidden_states"):
            assert record.tensors[name].shape == row[name].shape
            np.testing.assert_array_equal(record.tensors[name].values, row[name])


def test_only_what_is_wanted_is_read(tmp_path):
    path = write_tfrecord(tmp_path / "a.tfrec", rows())
    content = bytearray(path.read_bytes())
    content[40] ^= 1  # of the data of record 0, which nobody asks for
    path.write_bytes(content)
    assert [x.place for x in read_tfrecord(str(path), {2})] == [2]


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "bfloat16"])
def test_every_type(dtype):
    values = (
        np.arange(24)
        .reshape(2, 3, 4)
        .astype(np.dtype(getattr(ml_dtypes, dtype, dtype)))
    )
    tensor = parse_tensor(memoryview(serialised(values)))
    assert tensor.values.dtype == values.dtype
    np.testing.assert_array_equal(tensor.values, values)


def test_a_damaged_record_costs_itself(tmp_path):
    path = write_tfrecord(tmp_path / "a.tfrec", rows())
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    first, fault, last = read_tfrecord(str(path))
    assert isinstance(fault, Fault) and fault.place == 1
    assert (
        fault.reject.code == "DAMAGED" and "record 1: its data" in fault.reject.reason
    )
    assert (first.place, last.place) == (0, 2)


@pytest.mark.parametrize(
    "cut, code, said",
    [
        (lambda x: x[:-3], "TRUNCATED", "it ends in record 2"),
        (lambda x: x + b"12345", "TRUNCATED", "it ends in record 3"),
        (lambda x: b"\1" + x[1:], "DAMAGED", "record 0: its length"),
    ],
)
def test_a_file_that_is_cut_or_none_says_where(tmp_path, cut, code, said):
    path = write_tfrecord(tmp_path / "a.tfrec", rows())
    path.write_bytes(cut(path.read_bytes()))
    with pytest.raises(Reject, match=said) as error:
        list(read_tfrecord(str(path)))
    assert error.value.code == code


@pytest.mark.parametrize("data", [b"\xff\xff", b"\x08", b"\x12\x02\x12\x09", b""])
def test_bytes_that_are_no_tensor(data):
    with pytest.raises(Reject) as error:
        _ = parse_tensor(memoryview(data)).values
    assert error.value.code == "BAD_TENSOR"
