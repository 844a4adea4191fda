"""A TFDS dataset as raw video: each record one, its field a video file, or images in order.

    tfds:/data/my_set/1.0.0         a directory that is prepared
    tfds:my_set/config:1.0.0        the same under --data-dir; without config or version,
                                    that without a config, and the latest

Records are read as they lie in ArrayRecord files, so features that TFDS decodes by
TensorFlow (Image, Video) need none here. Preparing such a set does, once, elsewhere; so
does making array_record of tfrecord.
"""

import itertools
import pathlib
from collections.abc import Iterator, Sequence

from data_pipelines.inputs.base import CAPTION, Source
from data_pipelines.inputs.prepared import Shard, find_directory, find_shards
from data_pipelines.places import Field
from data_pipelines.quarantine import Reject
from data_pipelines.settings import IngestSettings
from videogen.core.errors import ConfigError, DataError, suggest

PREFIX = "tfds:"
VIDEO, SPLIT = "video", "train"
MOST_DAMAGED = 16  # records that are passed over in search of a sound one


def find(settings: IngestSettings) -> tuple[Source, ...]:
    """A source a record, in order. DataError or ConfigError for what cannot be read."""
    directory = directory_of(settings)
    split = settings.split or SPLIT
    shards = [each for each in find_shards(directory, split) if each.records]
    if not shards:
        raise DataError(f"{directory}: no records in split {split}")
    video, caption = _fields(directory, _sound_record(shards), settings)
    return tuple(
        _source(shard, row, video, caption, settings.frames_fps)
        for shard in shards
        for row in range(shard.records)
    )


def directory_of(settings: IngestSettings) -> pathlib.Path:
    """Where it is prepared. Raises DataError."""
    return find_directory(settings.videos.removeprefix(PREFIX), settings.data_dir)


def _sound_record(shards: Sequence[Shard]) -> dict[str, list]:
    """The first that can be read, of each file in turn. DataError, naming a file: none."""
    fault, tried = "", list(itertools.islice(_in_turn(shards), MOST_DAMAGED))
    for shard, row in tried:
        path, rows = str(shard.path), shard.records
        try:
            return Field(path=path, row=row, rows=rows, fps=0.0, name="").record()
        except (Reject, OSError) as error:
            fault = fault or str(error)
    raise DataError(f"{fault}; none of {len(tried)} records looked at is sound")


def _in_turn(shards: Sequence[Shard]) -> Iterator[tuple[Shard, int]]:
    """The first record of each file, then the second of each, ..."""
    for row in range(max(shard.records for shard in shards)):
        yield from ((shard, row) for shard in shards if row < shard.records)


def _fields(
    directory: pathlib.Path, record: dict[str, list], settings: IngestSettings
) -> tuple[str, str]:
    """Which fields hold the video and its caption, or "", by one record."""
    video = settings.video_field or VIDEO
    caption = settings.caption_field or (CAPTION if CAPTION in record else "")
    for flag, name in (("--video-field", video), ("--caption-field", caption)):
        if not name:
            continue
        if name not in record:
            raise ConfigError(
                f"{flag}={name}: {directory} has no such feature{suggest(name, record)}"
            )
        if not all(isinstance(value, memoryview) for value in record[name]):
            kind = "videos or images" if flag == "--video-field" else "texts"
            raise ConfigError(
                f"{flag}={name}: it holds numbers; encoded {kind} would work"
            )
    if len(record[video]) > 1 and not settings.frames_fps:
        raise ConfigError(
            f"--frames-fps=0: {directory} stores videos as images, which say no rate: "
            "--frames-fps=25 would work"
        )
    return video, caption


def _source(shard: Shard, row: int, video: str, caption: str, fps: float) -> Source:
    def place(name: str) -> str:
        path, rows = str(shard.path), shard.records
        return str(Field(path=path, row=row, rows=rows, fps=fps, name=name))

    return Source(
        name=f"{shard.path.name}/{row}",
        path=place(video),
        sidecar=place(caption) if caption else None,
    )
