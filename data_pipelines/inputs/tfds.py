"""A TFDS dataset as raw video: each record one, its field a video file, or images in order.

    tfds:/data/my_set/1.0.0         a directory that is prepared
    tfds:my_set/config:1.0.0        the same under --data-dir; without config or version,
                                    that without a config, and the latest

Records are read as they lie in ArrayRecord files, so features that TFDS decodes by
TensorFlow (Image, Video) need none here. Preparing such a set does, once, elsewhere; so
does making array_record of tfrecord.
"""

import dataclasses
import json
import os
import pathlib
import re
from collections.abc import Iterator, Sequence
from typing import Any

from data_pipelines.inputs.base import CAPTION, Source
from data_pipelines.places import Field
from data_pipelines.quarantine import Reject
from data_pipelines.settings import IngestSettings
from videogen.core.errors import ConfigError, DataError, suggest
from videogen.data.tfds_layout import INFO

PREFIX = "tfds:"
VIDEO, SPLIT = "video", "train"
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


def find(settings: IngestSettings) -> tuple[Source, ...]:
    """A source a record, in order. DataError or ConfigError for what cannot be read."""
    directory = directory_of(settings)
    shards = [each for each in _shards(directory, settings) if each.records]
    if not shards:
        raise DataError(f"{directory}: no records in split {settings.split or SPLIT}")
    fields = _fields(directory, shards[0], settings)
    return tuple(
        _source(shard, row, fields, settings.frames_fps)
        for shard in shards
        for row in range(shard.records)
    )


def directory_of(settings: IngestSettings) -> pathlib.Path:
    """Of the prepared set that is named. DataError, naming those that are there."""
    named = settings.videos.removeprefix(PREFIX)
    directory = pathlib.Path(named).expanduser()
    if directory.is_dir() and (directory / INFO).is_file():
        return directory.resolve()
    root = pathlib.Path(
        settings.data_dir or os.environ.get("TFDS_DATA_DIR", "~/tensorflow_datasets")
    ).expanduser()
    if not (match := _NAME.fullmatch(named)):
        raise DataError(
            f"--videos={settings.videos}: no directory with {INFO}, and no name/config:1.0.0"
        )
    name, config, version = match.groups()
    if not (root / name).is_dir():
        names = sorted(p.name for p in root.glob("*") if p.is_dir())
        raise DataError(
            f"--videos={settings.videos}: {name!r} is not prepared in {root}"
            f"{suggest(name, names) if names else ''}; --data-dir names another place; to "
            f"prepare it, {_ONCE}"
        )
    versions = {
        p.parent.name: p.parent
        for p in (root / name / (config or "")).glob(f"*/{INFO}")
    }
    if version in versions:
        return versions[version].resolve()
    if version or not versions:
        there = sorted(
            p.parent.relative_to(root / name) for p in (root / name).rglob(INFO)
        )
        raise DataError(
            f"--videos={settings.videos}: not prepared in {root / name}: there are: "
            f"{', '.join(map(str, there)) or 'none'}"
        )
    latest = max(versions, key=lambda text: [int(n) for n in re.findall(r"\d+", text)])
    return versions[latest].resolve()


def _shards(directory: pathlib.Path, settings: IngestSettings) -> Iterator[Shard]:
    """The files of the wanted splits, in order."""
    info = _read_info(directory)
    splits = {split["name"]: split for split in info.get("splits", [])}
    for name in (settings.split or SPLIT).split("+"):
        if name not in splits:
            raise DataError(
                f"--split={name}: {directory} has none{suggest(name, splits)}"
            )
        lengths = [int(length) for length in splits[name].get("shardLengths", [])]
        template = splits[name].get("filepathTemplate") or TEMPLATE
        for index, records in enumerate(lengths):
            numbers = {
                "SHARD_INDEX": f"{index:05d}",
                "NUM_SHARDS": f"{len(lengths):05d}",
            }
            file = template.format(
                DATASET=info["name"],
                SPLIT=name,
                FILEFORMAT=FORMAT,
                SHARD_X_OF_Y="{SHARD_INDEX}-of-{NUM_SHARDS}".format(**numbers),
                **numbers,
            )
            if not (path := directory / file).is_file():
                raise DataError(
                    f"{path}: missing: {INFO} beside it counts {records} in it"
                )
            yield Shard(path=path, records=records)


def _read_info(directory: pathlib.Path) -> dict[str, Any]:
    path = directory / INFO
    try:
        info = json.loads(path.read_text())
        formats = (info.get("fileFormat"), *info.get("alternativeFileFormats", []))
    except (OSError, ValueError, AttributeError) as error:
        raise DataError(f"{path}: cannot be read: {error}") from error
    if FORMAT not in formats:
        kind = info.get("fileFormat") or "tfrecord"
        raise DataError(
            f"{directory}: its files are {kind}; {FORMAT} would work: {_ONCE}"
        )
    return info


def _fields(
    directory: pathlib.Path, shard: Shard, settings: IngestSettings
) -> tuple[str, str | None]:
    """Which fields hold the video and its caption, by the first record."""
    first = Field(path=str(shard.path), row=0, rows=shard.records, fps=0, name="")
    try:
        record = first.record()
    except (Reject, OSError) as error:
        raise DataError(f"{shard.path}: {error}") from error
    video = settings.video_field or VIDEO
    caption = settings.caption_field or (CAPTION if CAPTION in record else None)
    for flag, name in (("video_field", video), ("caption_field", caption)):
        if name is None:
            continue
        if name not in record:
            raise ConfigError(
                f"{flag}={name}: {directory} has no such feature{suggest(name, record)}"
            )
        if not all(isinstance(value, memoryview) for value in record[name]):
            kind = "videos or images" if flag == "video_field" else "texts"
            raise ConfigError(
                f"{flag}={name}: it holds numbers; encoded {kind} would work"
            )
    if len(record[video]) > 1 and not settings.frames_fps:
        raise ConfigError(
            f"frames_fps=0: {directory} stores videos as images, which say no rate: "
            "--frames-fps=25 would work"
        )
    return video, caption


def _source(shard: Shard, row: int, fields: Sequence[str | None], fps: float) -> Source:
    places = (
        name
        and str(
            Field(path=str(shard.path), row=row, rows=shard.records, fps=fps, name=name)
        )
        for name in fields
    )
    path, sidecar = places
    return Source(name=f"{shard.path.name}/{row}", path=path or "", sidecar=sidecar)
