"""One video of a listing."""

import dataclasses

from data_pipelines.captions import Captions

VIDEO_SUFFIXES = frozenset(
    (".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".wmv", ".flv")
)
IMAGE_SUFFIXES = frozenset((".jpg", ".jpeg", ".png", ".webp"))  # videos of one frame
SUFFIXES = VIDEO_SUFFIXES | IMAGE_SUFFIXES
CAPTION = "caption"  # what a caption is called where nobody says otherwise


@dataclasses.dataclass(frozen=True, kw_only=True)
class Source:
    """Where a video lies, and its captions: in a file of their own, or known already."""

    name: str  # relative to its folder, or what its listing calls it
    path: str  # a place (places.py)
    sidecar: str | None = None  # a place
    captions: Captions = Captions()  # without a sidecar
    fault: tuple[str, str] | None = None  # code and reason: set aside unread


def faulty(name: str, code: str, reason: str) -> Source:
    """What a listing names, or holds, and cannot be used."""
    return Source(name=name, path="", fault=(code, reason))
