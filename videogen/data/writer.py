"""Writing a dataset: each file whole or absent, the manifests after what they describe.

A shard goes to a temporary name, is flushed to disk, counted again, and renamed:
attempts that run twice write the same bytes, and the last rename changes nothing.
`write_manifest` closes a bucket, `write_dataset` the dataset: readers refuse a
directory without it. What killed processes left in the directories they write to goes.
"""

import contextlib
import hashlib
import os
import pathlib
import re
import uuid
import zlib
from collections.abc import Iterable, Iterator

from array_record.python import array_record_module  # type: ignore[attr-defined]

from videogen.core.errors import DataError
from videogen.data import manifest, tfds_layout
from videogen.data.schema import WRITER_OPTIONS, DatasetInfo, Manifest, ShardInfo

Path = str | os.PathLike[str]
_CHUNK = 1 << 24  # bytes read at a time for the checksum
# .<name>.<digits>, as written by `_finished` and by tokenizers.
_UNFINISHED = re.compile(r"\..+\.[0-9a-f]{1,8}")


def shard_name(kind: str, split: str, index: int, count: int) -> str:
    """'latents-train.array_record-00000-of-00004'; kind: "latents", "captions-v1"."""
    return f"{kind}-{split}.array_record-{index:05d}-of-{count:05d}"


def ids_sha256(ids: Iterable[str]) -> str:
    """Of the ordered clip ids of a split: what `SplitInfo.ids_sha256` holds."""
    return hashlib.sha256("".join(f"{id}\n" for id in ids).encode()).hexdigest()


def write_shard(path: Path, records: Iterable[bytes]) -> ShardInfo:
    """Writes one shard. Raises DataError, naming the file, when the disk refuses."""
    path = pathlib.Path(path)
    with _finished(path) as part:
        written = _write_records(path, part, records)
        size, crc32 = checksum(part)
    return ShardInfo(file=path.name, records=written, size=size, crc32=crc32)


def write_manifest(bucket_dir: Path, content: Manifest) -> None:
    """What TFDS wants, then <bucket_dir>/manifest.json: the bucket is complete."""
    described = tfds_layout.describe(content)
    for directory in {pathlib.Path(bucket_dir, file).parent for file in described}:
        remove_unfinished(directory)
    for file, text in described.items():
        write_file(pathlib.Path(bucket_dir, file), text.encode())
    text = manifest.to_json(content)
    write_file(pathlib.Path(bucket_dir, manifest.MANIFEST), text.encode())


def write_dataset(dataset_dir: Path, info: DatasetInfo) -> None:
    """Writes <dataset_dir>/dataset.json: the dataset is complete. Last of all."""
    remove_unfinished(dataset_dir)
    text = manifest.to_json(info)
    write_file(pathlib.Path(dataset_dir, manifest.DATASET), text.encode())


def write_file(path: Path, content: bytes) -> None:
    """Writes a small file. Raises DataError, naming it, when the disk refuses."""
    path = pathlib.Path(path)
    with _finished(path) as part, _refusals(path):
        part.write_bytes(content)


def move_files(files: Iterable[Path], directory: Path) -> None:
    """Renames finished files into `directory`, of the same file system."""
    directory = pathlib.Path(directory)
    for file in map(pathlib.Path, files):
        with _refusals(directory / file.name):
            file.replace(directory / file.name)
    with _refusals(directory):
        _sync(directory)


def remove_unfinished(directory: Path) -> None:
    """Removes the temporary files that killed processes left in a directory of ours."""
    for path in pathlib.Path(directory).glob(".*"):
        if _UNFINISHED.fullmatch(path.name):
            path.unlink(missing_ok=True)


def _write_records(
    path: pathlib.Path, part: pathlib.Path, records: Iterable[bytes]
) -> int:
    """The number of records written, verified by counting them in the file."""
    written = 0
    with _refusals(path):
        writer = array_record_module.ArrayRecordWriter(str(part), WRITER_OPTIONS)
    for record in records:  # its own errors are not the disk's
        with _refusals(path):
            writer.write(record)
        written += 1
    with _refusals(path):
        writer.close()
        reader = array_record_module.ArrayRecordReader(str(part))
        found = reader.num_records()
        reader.close()
    if found != written:
        raise DataError(f"{path}: wrote {written} records, but reads back {found}")
    return written


@contextlib.contextmanager
def _finished(path: pathlib.Path) -> Iterator[pathlib.Path]:
    """Yields a temporary path beside `path`; on success it is flushed and renamed."""
    part = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")
    try:
        with _refusals(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        yield part
        with _refusals(path):
            _sync(part)
            part.replace(path)
            _sync(path.parent)
    finally:
        with _refusals(path):
            part.unlink(missing_ok=True)


@contextlib.contextmanager
def _refusals(path: pathlib.Path) -> Iterator[None]:
    """The file system's errors as DataError; array_record has them as RuntimeError."""
    try:
        yield
    except (OSError, RuntimeError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise DataError(f"{path}: cannot be written: {reason}") from error


def _sync(path: pathlib.Path) -> None:
    """Flushes a file, or a directory's entries, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def checksum(path: pathlib.Path) -> tuple[int, int]:
    """Of the whole file: (bytes, crc32), as ShardInfo has them."""
    size = crc32 = 0
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            size += len(chunk)
            crc32 = zlib.crc32(chunk, crc32)
    return size, crc32
