"""The wire format is tf.train.Example's, byte for byte."""

from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from videogen.core.errors import DataError
from videogen.data import example

VALUES = st.one_of(
    st.lists(st.binary(max_size=20)),
    st.lists(st.integers(-(2**63), 2**63 - 1)),
    st.lists(st.floats(width=32, allow_nan=False)),
)


@pytest.mark.parametrize("large", [4096, 8, 0])
@given(st.dictionaries(st.text(max_size=8), VALUES, max_size=5))
def test_what_is_encoded_is_decoded(large, features):
    """Whatever is large enough to be read in place."""
    with mock.patch.object(example, "_LARGE", large):
        assert example.decode(example.encode(features)) == features


@given(st.binary(max_size=9), st.integers(-5, 5), st.floats(width=32, allow_nan=False))
def test_a_scalar_is_a_list_of_one(data, whole, real):
    decoded = example.decode(example.encode({"a": data, "b": whole, "c": real}))
    assert decoded == {"a": [data], "b": [whole], "c": [real]}


def test_bytes_are_those_of_tensorflow():
    """By hand, from feature.proto: lists are fields 1, 2, 3 of Feature; packed numbers."""

    def field(number, payload):
        return bytes([number << 3 | 2, len(payload)]) + payload

    def entry(name, feature):
        return field(1, field(1, name) + field(2, feature))

    one = b"\x00\x00\x80\x3f"
    expected = field(
        1,
        entry(b"a", field(1, field(1, b"xy") + field(1, b"z")))
        + entry(b"b", field(2, field(1, one)))
        + entry(b"c", field(3, field(1, b"\x05\x96\x01"))),
    )
    features = {"c": [5, 150], "a": [b"xy", b"z"], "b": 1.0}
    assert example.encode(features) == expected


def test_other_values_are_refused():
    with pytest.raises(TypeError, match="feature 'a': 1 is not"):
        example.encode({"a": [1, b"x"]})


def test_other_bytes_are_refused():
    with pytest.raises(DataError, match="no tf.train.Example"):
        example.decode(b"\xff\xff\xff")
