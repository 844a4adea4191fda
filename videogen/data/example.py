"""The wire format of tf.train.Example, without TensorFlow.

The messages are built here field by field (numbers and types as in TensorFlow's
core/example/{feature,example}.proto), in a pool of their own, so that a process may
import TensorFlow too.
"""

import numbers
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from google.protobuf import (
    descriptor_pb2,
    descriptor_pool,
    message,
    message_factory,
)

from videogen.core.errors import DataError
from videogen.data import wire

Value = (
    bytes | int | float | Sequence[bytes] | Sequence[int] | Sequence[float] | np.ndarray
)

_PACKAGE = "videogen.example"
_LARGE = 4096  # bytes of a feature that is not copied
_NOTHING = memoryview(b"")
_Field = descriptor_pb2.FieldDescriptorProto


def encode(features: Mapping[str, Value]) -> bytes:
    """A serialised Example, the same bytes for the same features. May TypeError."""
    example = _Example()
    for name, value in features.items():
        scalar = isinstance(value, bytes | int | float)
        values = [value] if scalar else list(value)
        _fill(example.features.feature[name], name, values)
    return example.SerializeToString(deterministic=True)


def decode(record: bytes) -> dict[str, list]:
    """{name: list of bytes, ints or floats} of a serialised Example, or DataError.

    Bytes are memoryviews; of a large feature, of the record itself.
    """
    try:
        small, all_features = wire.without_large(memoryview(record), 1, _LARGE)
        found = _values(_Example.FromString(small).features) if small else {}
        for features in all_features:
            small, entries = wire.without_large(features, 1, _LARGE)
            found |= _values(_Features.FromString(small))
            found |= dict(map(_large, entries))
        return found
    except (ValueError, message.DecodeError) as error:
        raise DataError(
            f"a record of {len(record)} bytes is no tf.train.Example: {error}"
        ) from error


def _values(features: Any) -> dict[str, list]:
    """By protobuf's parser."""
    return {name: _list(feature) for name, feature in features.feature.items()}


def _list(feature: Any) -> list:
    kind = feature.WhichOneof("kind")
    values = getattr(feature, kind).value if kind else ()
    return [*map(memoryview, values)] if kind == "bytes_list" else [*values]


def _large(entry: memoryview) -> tuple[str, list]:
    """Name and values of one feature, its bytes seen in place."""
    parts = {number: _view(value) for number, _, value in wire.fields(entry)}
    name = bytes(parts.get(1, b"")).decode()
    lists = {n: _view(value) for n, _, value in wire.fields(parts.get(2, _NOTHING))}
    if lists.keys() == {1}:
        return name, [_view(value) for _, _, value in wire.fields(lists[1])]
    return name, _list(_Feature.FromString(parts.get(2, _NOTHING)))


def _view(value: int | memoryview) -> memoryview:
    if isinstance(value, int):
        raise ValueError("a number where a message should be")
    return value


def _fill(feature: Any, name: str, values: Sequence) -> None:
    kinds = {
        "bytes_list": bytes,
        "int64_list": numbers.Integral,
        "float_list": numbers.Real,
    }
    for field, kind in kinds.items():  # Integral before Real: every int is a Real too
        if values and all(isinstance(value, kind) for value in values):
            getattr(feature, field).value.extend(values)
            return
    if values:
        raise TypeError(f"feature {name!r}: {values[0]!r} is not bytes, int or float")


def _field(name: str, number: int, kind: int, **options) -> _Field:
    options.setdefault("label", _Field.LABEL_OPTIONAL)
    return _Field(name=name, number=number, type=kind, **options)  # type: ignore[arg-type]


def _list_message(name: str, kind: int) -> descriptor_pb2.DescriptorProto:
    value = _field("value", 1, kind, label=_Field.LABEL_REPEATED)
    return descriptor_pb2.DescriptorProto(name=name, field=[value])


def _feature_message() -> descriptor_pb2.DescriptorProto:
    kinds = ("bytes_list", "BytesList"), ("float_list", "FloatList")
    kinds += (("int64_list", "Int64List"),)
    fields = [
        _field(name, number, _Field.TYPE_MESSAGE, type_name=f".{_PACKAGE}.{of}")
        for number, (name, of) in enumerate(kinds, 1)
    ]
    for field in fields:
        field.oneof_index = 0
    oneof = descriptor_pb2.OneofDescriptorProto(name="kind")
    return descriptor_pb2.DescriptorProto(
        name="Feature", field=fields, oneof_decl=[oneof]
    )


def _features_message() -> descriptor_pb2.DescriptorProto:
    """map<string, Feature> feature = 1, as protoc spells a map."""
    feature = f".{_PACKAGE}.Feature"
    entry = descriptor_pb2.DescriptorProto(
        name="FeatureEntry",
        field=[
            _field("key", 1, _Field.TYPE_STRING),
            _field("value", 2, _Field.TYPE_MESSAGE, type_name=feature),
        ],
        options=descriptor_pb2.MessageOptions(map_entry=True),
    )
    entries = _field(
        "feature",
        1,
        _Field.TYPE_MESSAGE,
        label=_Field.LABEL_REPEATED,
        type_name=f".{_PACKAGE}.Features.FeatureEntry",
    )
    return descriptor_pb2.DescriptorProto(
        name="Features", field=[entries], nested_type=[entry]
    )


def _messages() -> Any:
    """The classes of Example, Features and Feature."""
    features = _field(
        "features", 1, _Field.TYPE_MESSAGE, type_name=f".{_PACKAGE}.Features"
    )
    file = descriptor_pb2.FileDescriptorProto(
        name="videogen/example.proto",
        package=_PACKAGE,
        syntax="proto3",
        message_type=[
            _list_message("BytesList", _Field.TYPE_BYTES),
            _list_message("FloatList", _Field.TYPE_FLOAT),
            _list_message("Int64List", _Field.TYPE_INT64),
            _feature_message(),
            _features_message(),
            descriptor_pb2.DescriptorProto(name="Example", field=[features]),
        ],
    )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return (
        message_factory.GetMessageClass(
            pool.FindMessageTypeByName(f"{_PACKAGE}.{name}")
        )
        for name in ("Example", "Features", "Feature")
    )


_Example, _Features, _Feature = _messages()
