"""A plain dict -> a frozen dataclass, checked field by field against its annotations.

Every complaint is one line that names the field as `where.name`, its value, and what
would work. Understood annotations: bool, int, float, str, X | None, tuple[X, Y],
tuple[X, ...]. JSON lists count as tuples, whole numbers as floats.
"""

import dataclasses
import types
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

from videogen.core.errors import ConfigError, suggest

T = TypeVar("T")


def fill(kind: type[T], values: Mapping[str, Any], where: str) -> T:
    """`kind(**values)`. ConfigError for an unknown, missing, mistyped or refused field."""
    hints = typing.get_type_hints(kind)
    fields = {field.name: field for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    for name in values:
        if name not in fields:
            raise ConfigError(f"{where}.{name}: no such field{suggest(name, fields)}")
    for name, field in fields.items():
        if name not in values and _required(field):
            raise ConfigError(f"{where}.{name} is missing")
    checked = {
        name: as_type(value, hints[name], f"{where}.{name}")
        for name, value in values.items()
    }
    try:
        return kind(**checked)
    except ConfigError as error:  # of the dataclass itself, which knows no `where`
        root = where.partition(".")[0]
        text = str(error)
        raise ConfigError(
            text if text.startswith(root) else f"{root}.{text}"
        ) from error


def as_type(value: Any, hint: Any, where: str) -> Any:
    """`value` as the annotation says, or ConfigError."""
    args = typing.get_args(hint)
    if isinstance(hint, types.UnionType):
        if value is None and type(None) in args:
            return None
        (hint,) = [arg for arg in args if arg is not type(None)]
        return as_type(value, hint, where)
    if typing.get_origin(hint) is tuple:
        return _as_tuple(value, args, hint, where)
    if hint is float and type(value) is int:
        return float(value)
    if type(value) is not hint:
        raise ConfigError(f"{where}={value!r} is not {_name(hint)}")
    return value


def _as_tuple(value: Any, args: tuple[Any, ...], hint: Any, where: str) -> tuple:
    if not isinstance(value, list | tuple):
        raise ConfigError(f"{where}={value!r} is not {_name(hint)}")
    kinds = args[:1] * len(value) if args[-1:] == (...,) else args
    if len(kinds) != len(value):
        raise ConfigError(f"{where}={tuple(value)!r} must have {len(kinds)} values")
    return tuple(
        as_type(item, kind, f"{where}[{i}]")
        for i, (item, kind) in enumerate(zip(value, kinds, strict=True))
    )


def _required(field: dataclasses.Field) -> bool:
    missing = dataclasses.MISSING
    return field.default is missing and field.default_factory is missing


def _name(hint: Any) -> str:
    names = {
        int: "a whole number",
        float: "a number",
        str: "a text",
        bool: "True or False",
    }
    if typing.get_origin(hint) is tuple:
        return "a tuple, e.g. ('one',) or (1, 2)"
    return names.get(hint, f"a {hint}")
