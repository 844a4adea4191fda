"""WebDataset tars: KEY.mp4, and its captions in KEY.json or KEY.txt, one after the other.

Videos are read where they lie in the tar. A tar that ends early, or has none of a tar's
headers where one should be, is a source set aside, and what precedes the damage is read.
"""

import dataclasses
import glob
import pathlib
import posixpath
import tarfile
from collections.abc import Iterator

from data_pipelines.captions import Captions, read_text
from data_pipelines.inputs.base import (
    CAPTION,
    IMAGE_SUFFIXES,
    VIDEO_SUFFIXES,
    Source,
    faulty,
)
from data_pipelines.places import Part
from data_pipelines.quarantine import Reject
from data_pipelines.settings import IngestSettings
from videogen.core.errors import DataError

SUFFIX = ".tar"
_BLOCK = 512  # zeros end a tar
Group = dict[str, Part]  # what follows the key -> its bytes


@dataclasses.dataclass(kw_only=True)
class Members:
    """What a tar holds, by key, in order; and what is wrong: (name, code, reason)."""

    groups: dict[str, Group]
    faults: list[tuple[str, str, str]]

    def add(self, key: str, ending: str, part: Part) -> None:
        if ending in self.groups.setdefault(key, {}):
            name = f"{key}.{ending}"
            self.faults.append((name, "DUPLICATE", f"{name} is in the tar twice"))
        else:
            self.groups[key][ending] = part


def find(pattern: str, settings: IngestSettings) -> tuple[Source, ...]:
    """Of the tars of a path, which may have wildcards. DataError when there are none."""
    is_path = pathlib.Path(pattern).is_file()  # though its name has brackets
    paths = sorted(map(pathlib.Path, [pattern] if is_path else glob.glob(pattern)))
    if not paths:
        raise DataError(f"--videos={settings.videos}: there is no such tar")
    return tuple(each for path in paths for each in sources(path, path.name, settings))


def sources(
    path: pathlib.Path, name: str, settings: IngestSettings
) -> Iterator[Source]:
    """The videos of a tar, called `<name of the tar>/<member>`, then what is wrong with it."""
    found: list[Source] = []
    try:
        members = read_members(path)
        for key, group in members.groups.items():
            found += _of_group(group, name, key, settings.caption_field or CAPTION)
        faults = members.faults
        if not found and not faults:
            faults = [("", "UNREADABLE", "no video in it")]
    except OSError as error:
        faults = [("", "IO", error.strerror or str(error))]
    except (tarfile.TarError, ValueError) as error:
        faults = [("", "UNREADABLE", f"no tar, or a compressed one: {error}")]
    yield from found
    for member, code, reason in faults:
        told = reason if member else f"{reason}; videos found in it: {len(found)}"
        yield faulty(posixpath.join(name, member).rstrip("/"), code, told)


def read_members(path: pathlib.Path) -> Members:
    """The members of a tar. May OSError, TarError or ValueError for what is none.

    Of a damaged tar the last key is left out: it may lack some of its members.
    """
    size, key = path.stat().st_size, ""
    members = Members(groups={}, faults=[])
    with path.open("rb") as file, tarfile.open(fileobj=file, mode="r:") as tar:
        try:
            while (member := tar.next()) is not None:
                tar.members.clear()  # type: ignore[attr-defined]  # a long tar has many
                key, ending = _split(member.name)
                offset, length = member.offset_data, member.size
                if offset + length > size:
                    raise tarfile.ReadError
                if member.isreg() and not member.issparse() and ending:
                    part = Part(path=str(path), offset=offset, length=length)
                    members.add(key, ending, part)
            file.seek(tar.offset)  # type: ignore[attr-defined]
            if file.read(_BLOCK) == bytes(_BLOCK):
                return members
        except (tarfile.TarError, ValueError):
            if not key:
                raise
    members.groups.pop(key, None)
    reason = f"the tar ends, or is damaged, in or after {key}"
    members.faults.append(("", "TRUNCATED", reason))
    return members


def _of_group(group: Group, tar: str, key: str, caption_key: str) -> Iterator[Source]:
    """Its videos; without any its images; each with the captions of the group."""
    videos = _ending(group, VIDEO_SUFFIXES) or _ending(group, IMAGE_SUFFIXES)
    if not videos or not posixpath.basename(key):  # hidden files are some system's own
        return
    name = posixpath.join(tar, key)
    try:
        captions = _captions(group, caption_key)
    except Reject as reject:
        yield faulty(name, reject.code, reject.reason)
        return
    for ending in videos:
        path = str(group[ending])
        yield Source(name=f"{name}.{ending}", path=path, captions=captions)


def _captions(group: Group, caption_key: str) -> Captions:
    """Of KEY.json; the caption of KEY.txt where that has none."""
    found = Captions()
    if "json" in group:
        found = read_text(".json", b"".join(group["json"].blocks()), key=caption_key)
    if "txt" in group and not found.caption and not found.spans:
        text = read_text(".txt", b"".join(group["txt"].blocks()))
        found = dataclasses.replace(found, caption=text.caption)
    return found


def _ending(group: Group, suffixes: frozenset[str]) -> list[str]:
    return [e for e in group if f".{e.rpartition('.')[2]}" in suffixes]


def _split(name: str) -> tuple[str, str]:
    """'train/0001.a.mp4' -> ('train/0001', 'a.mp4'): WebDataset's key ends at a dot."""
    folder, base = posixpath.split(name)
    stem, _, ending = base.partition(".")
    return posixpath.join(folder, stem), ending.lower()
