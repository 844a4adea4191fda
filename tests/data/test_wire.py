"""The wire format is read as protobuf reads it, in place."""

import itertools
from unittest import mock

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from videogen.core.errors import DataError
from videogen.data import example, wire


def test_bytes_are_a_view_of_the_record():
    data = np.resize(np.arange(256, dtype=np.uint8), 5000).tobytes()
    record = example.encode({"latent": data, "id": b"x"})
    (view,) = example.decode(record)["latent"]
    address = np.frombuffer(record, np.uint8).__array_interface__["data"][0]
    inside = np.frombuffer(view, np.uint8).__array_interface__["data"][0] - address
    assert record[inside : inside + 5000] == data == bytes(view)


@given(st.binary(max_size=64))
def test_any_bytes_are_fields_or_a_value_error(data):
    try:
        list(wire.fields(memoryview(data)))
    except ValueError:
        return


@given(st.dictionaries(st.text(max_size=4), st.binary(max_size=30), max_size=3))
def test_every_prefix_is_refused(features):
    """Of a record, which is one field: none passes for a shorter one."""
    record = example.encode(features)
    for size, large in itertools.product(range(1, len(record)), (4096, 8)):
        with mock.patch.object(example, "_LARGE", large):
            with pytest.raises(DataError, match="no tf.train.Example"):
                example.decode(record[:size])


@pytest.mark.parametrize("cut", [1, 900])
def test_a_large_field_that_is_cut_is_refused(cut):
    """Inside of a record that is whole."""
    record = example.encode({"latent": bytes(5000)})
    features = record[3 : len(record) - cut]  # without the record's own tag and length
    whole = b"\x0a" + _varint(len(features)) + features
    with pytest.raises(DataError, match="cut"):
        example.decode(whole)


def _varint(number):
    return bytes([number & 127 | 128, number >> 7])


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\x0a\x05ab", "cut"),
        (b"\x80", "number is cut"),
        (b"\x80" * 11, "64 bits"),
        (b"\x08" + b"\xff" * 9 + b"\x7f", "64 bits"),
        (b"\x0b", "wire type 3"),
    ],
)
def test_damage_is_named(data, message):
    with pytest.raises(ValueError, match=message):
        list(wire.fields(memoryview(data)))
