"""dataset.json and manifest.json: the dataclasses of schema.py <-> JSON, validated."""

import dataclasses
import json
import os
import pathlib
import types
import typing
from typing import Any, TypeVar

from videogen.core.errors import DataError, suggest
from videogen.data.schema import SCHEMA_VERSION, SPLITS, DatasetInfo, Manifest

DATASET = "dataset.json"
MANIFEST = "manifest.json"
T = TypeVar("T")


def to_json(content: Any) -> str:
    """JSON of a dataclass of schema.py; keys sorted: equal contents, equal bytes.

    What may be absent is, where it is empty: a file says nothing of what came after it.
    """
    return json.dumps(content, indent=1, sort_keys=True, default=_fields) + "\n"


def from_json(text: str, kind: type[T]) -> T:
    """The dataclass of `to_json`'s text. ValueError names the field that is wrong."""
    return _build(json.loads(text), kind, kind.__name__)


def load_dataset(directory: str | os.PathLike[str]) -> DatasetInfo:
    """<directory>/dataset.json, or DataError: missing, damaged, of another schema."""
    path = pathlib.Path(directory, DATASET)
    if not path.exists():
        raise DataError(
            f"{directory}: no {DATASET}: not a finished dataset; run "
            f"`python -m data_pipelines all` to its end, or give another directory"
        )
    return _load(path, DatasetInfo)


def load_manifest(bucket_dir: str | os.PathLike[str]) -> Manifest:
    """<bucket_dir>/manifest.json, or DataError: missing, damaged, inconsistent."""
    path = pathlib.Path(bucket_dir, MANIFEST)
    manifest = _load(path, Manifest)
    for name, split in manifest.splits.items():
        if name not in SPLITS:
            raise DataError(f"{path}: unknown split {name!r}{suggest(name, SPLITS)}")
        for kind, shards in {"latents": split.latents, **split.sidecars}.items():
            rows = [shard.records for shard in shards]
            if rows != [shard.records for shard in split.latents]:
                raise DataError(f"{path}: {kind} of {name} is not row-aligned: {rows}")
        if split.records != sum(shard.records for shard in split.latents):
            raise DataError(
                f"{path}: {name}.records={split.records} is not its shards' sum"
            )
    return manifest


def _fields(content: Any) -> dict[str, Any]:
    """Of a dataclass, those that a file has. TypeError for anything else."""
    absent = _optional(type(content))
    fields = {f.name: getattr(content, f.name) for f in dataclasses.fields(content)}
    return {name: v for name, v in fields.items() if v or name not in absent}


def _load(path: pathlib.Path, kind: type[T]) -> T:
    try:
        data = json.loads(path.read_text())
        if data.get("schema") != SCHEMA_VERSION:
            raise ValueError(
                f"schema {data.get('schema')!r}, but this version reads "
                f"{SCHEMA_VERSION}: encode again, or use the version that wrote it"
            )
        return _build(data, kind, kind.__name__)
    except (OSError, ValueError, AttributeError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise DataError(f"{path}: {reason}") from error


def _build(value: Any, kind: Any, where: str) -> Any:
    """`value`, as JSON gives it, as a `kind`: dataclass, tuple, dict or scalar."""
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if dataclasses.is_dataclass(kind):
        return _build_dataclass(_check(value, dict, where), kind, where)
    if origin is tuple:
        items = _check(value, list, where)
        kinds = args[:1] * len(items) if args[-1] is ... else args
        if len(kinds) != len(items):
            raise ValueError(f"{where} has {len(items)} values, not {len(kinds)}")
        places = (f"{where}[{i}]" for i in range(len(items)))
        return tuple(map(_build, items, kinds, places))
    if origin is dict:
        items = _check(value, dict, where).items()
        return {name: _build(v, args[1], f"{where}.{name}") for name, v in items}
    if kind is float:
        return float(_check(value, int | float, where))
    return _check(value, kind, where)


def _build_dataclass(value: dict, kind: Any, where: str) -> Any:
    fields = typing.get_type_hints(kind)
    absent = _optional(kind) - value.keys()
    fields = {name: hint for name, hint in fields.items() if name not in absent}
    for name in value.keys() ^ fields.keys():
        problem = "missing" if name in fields else "unknown"
        raise ValueError(f"{where}.{name} is {problem}")
    return kind(**{n: _build(value[n], k, f"{where}.{n}") for n, k in fields.items()})


def _optional(kind: Any) -> set[str]:
    """The fields that start empty: files written before there were such may lack them."""
    missing = dataclasses.MISSING
    fields = dataclasses.fields(kind)
    return {field.name for field in fields if field.default_factory is not missing}


def _check(value: Any, kind: type | types.UnionType, where: str) -> Any:
    if not isinstance(value, kind):
        raise ValueError(f"{where}={value!r} is not {getattr(kind, '__name__', kind)}")
    return value
