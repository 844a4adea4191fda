"""Which videos: a folder, searched in depth and sorted, or the quickstart's list."""

import dataclasses
import hashlib
import os
import pathlib

from data_pipelines import quickstart
from data_pipelines.quarantine import Reject
from videogen.core.errors import DataError

VIDEO_SUFFIXES = frozenset(
    (".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".wmv", ".flv")
)
IMAGE_SUFFIXES = frozenset((".jpg", ".jpeg", ".png", ".webp"))  # videos of one frame
SUFFIXES = VIDEO_SUFFIXES | IMAGE_SUFFIXES


@dataclasses.dataclass(frozen=True, kw_only=True)
class Source:
    """A video file, and the caption file that belongs to it, if any."""

    name: str  # relative to its folder
    path: str
    sidecar: str | None


def find_sources(videos: str) -> tuple[Source, ...]:
    """The videos of a folder or of "quickstart". DataError when there are none."""
    if videos == quickstart.NAME:
        pairs = quickstart.find_videos()
        return tuple(
            Source(name=path.name, path=str(path), sidecar=str(sidecar))
            for path, sidecar in pairs
        )
    folder = pathlib.Path(resolve(videos))
    if not folder.is_dir():
        problem = "is not a folder" if folder.exists() else "does not exist"
        raise DataError(
            f"--videos={videos} {problem}: give a folder of videos, or "
            f"{quickstart.NAME!r} for a few short ones of an installed package"
        )
    found = sorted(path for path in folder.rglob("*") if _is_video(path))
    if not found:
        raise DataError(
            f"--videos={videos} holds no video: files that end in "
            f"{', '.join(sorted(SUFFIXES))} would work"
        )
    return tuple(_source(path, folder) for path in found)


def resolve(videos: str) -> str:
    """The folder by its whole path: what tables say is read from anywhere."""
    return videos if videos == quickstart.NAME else str(pathlib.Path(videos).resolve())


def source_id(path: str) -> str:
    """16 hex digits: equal for equal bytes. Raises Reject(UNREADABLE or IO)."""
    try:
        with pathlib.Path(path).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()[:16]
    except OSError as error:
        raise refused("UNREADABLE", error) from error


def refused(code: str, error: OSError) -> Reject:
    """`code` for what is no file, or not ours to read; else IO: it may be so just now."""
    final = isinstance(error, (IsADirectoryError, PermissionError))
    return Reject(code if final else "IO", error.strerror or str(error))


def listing_sha256(sources: tuple[Source, ...]) -> str:
    """Of the names and sizes of the videos and the text of their sidecars."""
    digest = hashlib.sha256()
    for source in sources:
        path = pathlib.Path(source.path)
        size = path.stat().st_size if path.is_file() else -1
        text = _read_text(source.sidecar)
        digest.update(os.fsencode(f"{source.name}\0{size}\0{len(text)}\0") + text)
    return digest.hexdigest()


def _read_text(sidecar: str | None) -> bytes:
    """Empty when there is none to read: inspection will say so."""
    try:
        return pathlib.Path(sidecar).read_bytes() if sidecar else b""
    except OSError:
        return b""


def _is_video(path: pathlib.Path) -> bool:
    """By name alone; hidden files are some system's own."""
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".")


def _source(path: pathlib.Path, folder: pathlib.Path) -> Source:
    sidecars = (path.with_suffix(suffix) for suffix in (".json", ".txt"))
    sidecar = next((str(p) for p in sidecars if p.is_file()), None)
    return Source(
        name=path.relative_to(folder).as_posix(), path=str(path), sidecar=sidecar
    )
