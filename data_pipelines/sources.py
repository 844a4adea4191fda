"""Which videos: what `--videos` names, by its form."""

import hashlib
import os
import pathlib

from data_pipelines import quickstart
from data_pipelines.captions import Captions
from data_pipelines.inputs import folder, rows, sheet, tars, tfds
from data_pipelines.inputs.base import Source
from data_pipelines.places import Part, is_there, place, source_id
from data_pipelines.quarantine import Reject
from data_pipelines.settings import IngestSettings
from videogen.core.errors import DataError


def find_sources(settings: IngestSettings) -> tuple[Source, ...]:
    """The videos that are named. DataError when there are none."""
    videos = settings.videos
    if videos == quickstart.NAME:
        settings.only()
        return tuple(
            Source(name=path.name, path=str(path), sidecar=str(sidecar))
            for path, sidecar in quickstart.find_videos()
        )
    if videos.startswith(tfds.PREFIX):
        return tfds.find(settings)
    path = pathlib.Path(resolve(settings))
    if path.is_dir():
        settings.only("caption_field")
        return folder.find(path, settings)
    if path.suffix == tars.SUFFIX:
        settings.only("caption_field")
        return tars.find(str(path), settings)
    if path.suffix in rows.READERS:
        settings.only("video_field", "caption_field")
        return sheet.find(path, settings)
    problem = "cannot be used" if path.exists() else "does not exist"
    raise DataError(
        f"--videos={videos} {problem}: give a folder of videos, a .csv, .parquet or "
        f".tar, {tfds.PREFIX}NAME, or {quickstart.NAME!r} for a few short videos of an "
        f"installed package"
    )


def paths_by_id(videos: IngestSettings) -> dict[str, str]:
    """{source id: path}; videos that cannot be read are not there."""
    paths = {}
    for source in find_sources(videos):
        if not is_there(source.path):
            continue
        try:
            paths[source_id(source.path)] = source.path
        except Reject:
            continue
    return paths


def resolve(settings: IngestSettings) -> str:
    """The videos by their whole path: what tables say is read from anywhere."""
    if settings.videos == quickstart.NAME:
        return quickstart.NAME
    if settings.videos.startswith(tfds.PREFIX):
        return f"{tfds.PREFIX}{tfds.directory_of(settings)}"
    return str(pathlib.Path(settings.videos).resolve())


def listing_sha256(sources: tuple[Source, ...]) -> str:
    """Of the names and sizes of the videos, and of what is known of their captions."""
    digest = hashlib.sha256()
    for source in sources:
        text = _known(source)
        line = f"{source.name}\0{_size(source.path)}\0{len(text)}\0"
        digest.update(os.fsencode(line) + text)
    return digest.hexdigest()


def _size(path: str) -> int:
    """Bytes; of a record those of its file; -1 where no file is."""
    where = place(path)
    if not pathlib.Path(where.path).is_file():
        return -1
    if isinstance(where, Part):
        return where.length
    return pathlib.Path(where.path).stat().st_size


def _known(source: Source) -> bytes:
    """Empty when there is nothing to read: inspection will say so."""
    if source.fault:
        return repr(source.fault).encode()
    if source.captions != Captions():
        return source.captions.to_json().encode()
    try:
        return pathlib.Path(source.sidecar).read_bytes() if source.sidecar else b""
    except OSError:
        return b""
