"""TFDS datasets as they lie on disk: the directory that a name means, and its files."""

import dataclasses
import json
import os
import pathlib
import re
from collections.abc import Iterator
from typing import Any

from videogen.core.errors import DataError, suggest
from videogen.data.tfds_layout import INFO

FORMAT = "array_record"
TEMPLATE = "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}"
_NAME = re.compile(r"(\w+)(?:/([\w.-]+))?(?::(\d+\.\d+\.\d+))?")
_ONCE = (
    "once, where TensorFlow is: `tfds build NAME --file_format=array_record`, or for a set "
    "that is prepared `tfds convert_format --out_file_format=array_record`"
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Shard:
    """One ArrayRecord file."""

    path: pathlib.Path
    records: int


def find_directory(named: str, data_dir: str) -> pathlib.Path:
    """Of /data/name/1.0.0, or of name/config:1.0.0. DataError, naming those that are there."""
    directory = pathlib.Path(named).expanduser()
    if (directory / INFO).is_file():
        return directory.resolve()
    if not (match := _NAME.fullmatch(named)):
        raise DataError(
            f"--videos=tfds:{named}: no directory with {INFO}, and no name/config:1.0.0"
        )
    root = data_dir or os.environ.get("TFDS_DATA_DIR", "~/tensorflow_datasets")
    home = pathlib.Path(root).expanduser() / match[1]
    if not home.is_dir():
        names = sorted(path.name for path in home.parent.glob("*") if path.is_dir())
        raise DataError(
            f"--videos=tfds:{named}: {match[1]!r} is not prepared in {home.parent}"
            f"{suggest(match[1], names) if names else ''}; --data-dir names another place; "
            f"to prepare it, {_ONCE}"
        )
    versions = (home / (match[2] or "")).glob(f"{match[3] or '*'}/{INFO}")
    found = [file.parent for file in versions]
    if not found:
        there = sorted(str(p.parent.relative_to(home)) for p in home.rglob(INFO))
        raise DataError(
            f"--videos=tfds:{named}: not in {home}: there are: {', '.join(there) or 'none'}"
        )
    return max(found, key=_numbers).resolve()


def find_shards(directory: pathlib.Path, splits: str) -> Iterator[Shard]:
    """The files of some splits, a+b, in order. DataError unless they are as they should be."""
    info = _read_info(directory)
    known = {split["name"]: split for split in info["splits"]}
    for name in splits.split("+"):
        if name not in known:
            raise DataError(
                f"--split={name}: {directory} has none{suggest(name, known)}"
            )
        lengths = known[name].get("shardLengths", [])
        template = known[name].get("filepathTemplate") or TEMPLATE
        for index, records in enumerate(map(int, lengths)):
            number, of = f"{index:05d}", f"{len(lengths):05d}"
            file = template.format(
                DATASET=info["name"],
                SPLIT=name,
                FILEFORMAT=FORMAT,
                SHARD_INDEX=number,
                NUM_SHARDS=of,
                SHARD_X_OF_Y=f"{number}-of-{of}",
            )
            if not (path := directory / file).is_file():
                raise DataError(
                    f"{path}: missing: {INFO} beside it counts {records} in it"
                )
            yield Shard(path=path, records=records)


def _read_info(directory: pathlib.Path) -> dict[str, Any]:
    """With a name and splits, of files that are ArrayRecord."""
    path = directory / INFO
    try:
        info = json.loads(path.read_text())
        kind = info.get("fileFormat", "tfrecord")
        formats = (kind, *info.get("alternativeFileFormats", []))
        if not isinstance(info["name"], str) or not all(
            s["name"] for s in info["splits"]
        ):
            raise ValueError("without names")
    except (OSError, ValueError, AttributeError, KeyError, TypeError) as error:
        raise DataError(
            f"{path}: cannot be read: {type(error).__name__}: {error}"
        ) from error
    if FORMAT not in formats:
        raise DataError(
            f"{directory}: its files are {kind}; {FORMAT} would work: {_ONCE}"
        )
    return info


def _numbers(directory: pathlib.Path) -> list[int]:
    """Of a version, which is how versions compare."""
    return [int(number) for number in re.findall(r"\d+", directory.name)]
