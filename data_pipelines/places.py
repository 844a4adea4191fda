"""Where the bytes of a video, or of its captions, lie: the one thing that opens them.

Tables, plans and Beam carry a place as a text:

    /clips/a.mp4                       a file, by its whole path
    tar:1536:48213:/clips/0.tar        so many bytes of a file, from an offset: of a tar
    tfds:7:100:25.0:video:/ds/x-train.array_record-00000-of-00001
                                       a field of record 7 of 100; frames at 25 per second
"""

import contextlib
import dataclasses
import hashlib
import io
import os
import pathlib
from collections.abc import Iterator
from typing import BinaryIO

from data_pipelines.film import film
from data_pipelines.quarantine import Reject
from videogen.core.errors import ConfigError, DataError
from videogen.data import example
from videogen.data.readers import Readers

CHUNK = 1 << 20


@dataclasses.dataclass(frozen=True, kw_only=True)
class File:
    """All of a file."""

    path: str

    def blocks(self) -> Iterator[bytes]:
        """All its bytes. May OSError, as `opened` may."""
        with pathlib.Path(self.path).open("rb") as file:
            while block := file.read(CHUNK):
                yield block

    @contextlib.contextmanager
    def opened(self) -> Iterator[str | BinaryIO]:
        """What PyAV opens."""
        yield self.path

    def size(self) -> int:
        """Bytes."""
        return pathlib.Path(self.path).stat().st_size


@dataclasses.dataclass(frozen=True, kw_only=True)
class Part:
    """`length` bytes of a file, from `offset` on."""

    path: str
    offset: int
    length: int

    def __str__(self) -> str:
        return f"tar:{self.offset}:{self.length}:{self.path}"

    def blocks(self) -> Iterator[bytes]:
        with self.opened() as file:
            while block := file.read(CHUNK):
                yield block

    @contextlib.contextmanager
    def opened(self) -> Iterator[BinaryIO]:
        with pathlib.Path(self.path).open("rb") as file:
            yield _Window(file, self.offset, self.length)  # type: ignore[misc]

    def size(self) -> int:
        return self.length


@dataclasses.dataclass(frozen=True, kw_only=True)
class Field:
    """A field of a tf.train.Example, the record `row` of `rows` of an ArrayRecord file.

    One value is a file of its own; several are the images of a video, in order.
    """

    path: str
    row: int
    rows: int
    fps: float  # of several values
    name: str

    def __str__(self) -> str:
        return f"tfds:{self.row}:{self.rows}:{self.fps!r}:{self.name}:{self.path}"

    def record(self) -> dict[str, list]:
        """All fields of the record. Raises Reject(UNREADABLE), or OSError without a file."""
        pathlib.Path(self.path).stat()
        try:
            content = Readers().read(pathlib.Path(self.path), self.row, self.rows)
            return example.decode(content)
        except DataError as error:
            raise Reject("UNREADABLE", str(error)) from error

    def values(self) -> list[bytes]:
        """At least one. Raises Reject(UNREADABLE) for another field than one of bytes."""
        values = self.record().get(self.name, [])
        if not values or not isinstance(values[0], memoryview):
            raise Reject("UNREADABLE", f"the field {self.name!r} holds no bytes")
        return [bytes(value) for value in values]

    def blocks(self) -> Iterator[bytes]:
        """Of one value the bytes alone, as if it were a file; sizes tell several apart."""
        values = self.values()
        if len(values) > 1:
            yield repr(list(map(len, values))).encode()
        yield from values

    @contextlib.contextmanager
    def opened(self) -> Iterator[BinaryIO]:
        """ConfigError for images without a rate: a record of another kind than the first."""
        values = self.values()
        if len(values) > 1 and not self.fps > 0:
            raise ConfigError(
                f"--frames-fps=0: {self.path} record {self.row} stores its video as images, "
                "which say no rate: --frames-fps=25 would work, for records like it"
            )
        yield io.BytesIO(values[0]) if len(values) == 1 else film(values, self.fps)

    def size(self) -> int:
        return sum(map(len, self.values()))


def place(text: str) -> File | Part | Field:
    """What the text means. Paths of files are whole, so that they begin otherwise."""
    kind, _, rest = text.partition(":")
    if kind == "tar":
        offset, length, path = rest.split(":", 2)
        return Part(path=path, offset=int(offset), length=int(length))
    if kind == "tfds":
        row, rows, fps, name, path = rest.split(":", 4)
        numbers = {"row": int(row), "rows": int(rows), "fps": float(fps)}
        return Field(path=path, name=name, **numbers)
    return File(path=text)


def source_id(text: str) -> str:
    """16 hex digits: equal for equal bytes. Raises Reject(UNREADABLE or IO)."""
    digest = hashlib.sha256()
    try:
        for block in place(text).blocks():
            digest.update(block)
    except OSError as error:
        raise refused("UNREADABLE", error) from error
    return digest.hexdigest()[:16]


def is_there(text: str) -> bool:
    """Whether a regular file is: a pipe would wait for its writer."""
    return pathlib.Path(place(text).path).is_file()


def refused(code: str, error: OSError) -> Reject:
    """`code` for what is no file, or not ours to read; else IO: it may be so just now."""
    final = isinstance(error, (IsADirectoryError, PermissionError))
    return Reject(code if final else "IO", error.strerror or str(error))


class _Window(io.RawIOBase):
    """A part of an open file as a file."""

    def __init__(self, file: BinaryIO, offset: int, length: int):
        super().__init__()
        self._file, self._offset, self._length, self._at = file, offset, length, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._length}
        self._at = max(0, base[whence] + offset)
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer) -> int:
        count = max(0, min(len(buffer), self._length - self._at))
        self._file.seek(self._offset + self._at)
        content = self._file.read(count)
        buffer[: len(content)] = content
        self._at += len(content)
        return len(content)
