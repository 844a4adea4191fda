"""A folder of videos, searched in depth and sorted; name.json or name.txt beside name.mp4."""

import pathlib
from collections.abc import Iterator

from data_pipelines.inputs import tars
from data_pipelines.inputs.base import SUFFIXES, Source
from data_pipelines.settings import IngestSettings
from videogen.core.errors import DataError


def find(folder: pathlib.Path, settings: IngestSettings) -> tuple[Source, ...]:
    """Its videos, and those in its tars. DataError when there are none."""
    suffixes = SUFFIXES | {tars.SUFFIX}
    paths = sorted(p for p in folder.rglob("*") if is_seen(p.name, suffixes))
    found = [source for path in paths for source in _sources(path, folder, settings)]
    if not found:
        raise DataError(
            f"--videos={settings.videos} holds no video: files that end in "
            f"{', '.join(sorted(suffixes))} would work"
        )
    return tuple(found)


def is_seen(name: str, suffixes: frozenset[str]) -> bool:
    """By name alone; hidden files are some system's own."""
    return pathlib.Path(name).suffix.lower() in suffixes and not name.startswith(".")


def _sources(
    path: pathlib.Path, folder: pathlib.Path, settings: IngestSettings
) -> Iterator[Source]:
    name = path.relative_to(folder).as_posix()
    if path.suffix.lower() == tars.SUFFIX:
        yield from tars.sources(path, name, settings)
        return
    sidecars = (path.with_suffix(suffix) for suffix in (".json", ".txt"))
    sidecar = next((str(p) for p in sidecars if p.is_file()), None)
    yield Source(name=name, path=str(path), sidecar=sidecar)
