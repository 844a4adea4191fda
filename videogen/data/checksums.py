"""Whether all shards are, byte for byte, as they were written: after a copy, or an accident."""

import concurrent.futures
import itertools
import pathlib

from videogen.core.errors import DataError
from videogen.data.source import Dataset
from videogen.data.writer import checksum

_THREADS = 4
_MOST_NAMED = 8


def check_bytes(dataset: Dataset) -> int:
    """Reads every file that a manifest names; how many. DataError names those that differ."""
    shards = [
        (dataset.directory / bucket / shard.file, shard)
        for bucket, manifest in dataset.manifests.items()
        for split in manifest.splits.values()
        for shard in itertools.chain(split.latents, *split.sidecars.values())
    ]
    paths = [path for path, _ in shards]
    with concurrent.futures.ThreadPoolExecutor(_THREADS) as threads:
        found = list(threads.map(_read, paths))
    other = [
        str(path)
        for (path, shard), (size, crc32) in zip(shards, found, strict=True)
        if (size, crc32) != (shard.size, shard.crc32)
    ]
    if other:
        more = ", ..." if len(other) > _MOST_NAMED else ""
        raise DataError(
            f"{len(other)} of {len(shards)} files are not as they were written: "
            f"{', '.join(other[:_MOST_NAMED])}{more}; copy or encode these again"
        )
    return len(shards)


def _read(path: pathlib.Path) -> tuple[int, int]:
    try:
        return checksum(path)
    except OSError as error:
        raise DataError(
            f"{path}: cannot be read: {error.strerror}; copy or encode this shard again"
        ) from error
