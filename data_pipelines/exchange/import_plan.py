"""Which clip goes into which row of which shard: a function of the scan's rows alone."""

import dataclasses
import hashlib
from collections.abc import Sequence

from data_pipelines.exchange.import_settings import ImportSettings
from data_pipelines.plan import MIB
from data_pipelines.tables import Row
from videogen.data.schema import SPLITS


@dataclasses.dataclass(frozen=True, kw_only=True)
class Bucket:
    """Clips of one latent shape and frame rate."""

    name: str  # of its directory
    latent_FHW: tuple[int, int, int]
    fps: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class Shard:
    """One unit of work: shard `index` of `count` of a bucket's split, in row order."""

    bucket: Bucket
    split: str
    index: int
    count: int
    clips: tuple[Row, ...]


def make_plan(
    rows: Sequence[Row], settings: ImportSettings, channels: int
) -> list[Shard]:
    """All shards, bucket by bucket and split by split; clips in the order of the rows."""
    shards = []
    for bucket in find_buckets(rows):
        mine = [row for row in rows if _is_of(row, bucket)]
        for split in SPLITS:
            clips = [row for row in mine if split_of(row, settings) == split]
            parts = _cut(clips, settings.shard_mib * MIB, channels)
            shards += [
                Shard(bucket=bucket, split=split, index=i, count=len(parts), clips=part)
                for i, part in enumerate(parts)
            ]
    return shards


def find_buckets(rows: Sequence[Row]) -> list[Bucket]:
    """Sorted; named by their frame rates too where there are several."""
    found = sorted({(*_shape(row), row["fps"]) for row in rows})
    rates = {fps for *_, fps in found}
    buckets = []
    for frames, height, width, fps in found:
        rate = f"_fps{fps:g}" if len(rates) > 1 else ""
        buckets.append(
            Bucket(
                name=f"f{frames}_h{height}_w{width}{rate}",
                latent_FHW=(frames, height, width),
                fps=fps,
            )
        )
    return buckets


def split_of(row: Row, settings: ImportSettings) -> str:
    """What it says of itself, else by a hash of its source: clips of one stay together."""
    if row["split"]:
        return row["split"]
    drawn = int(hashlib.sha256(row["source_id"].encode()).hexdigest()[:8], 16) / 16**8
    return SPLITS[drawn < settings.validation_share]


def _shape(row: Row) -> tuple[int, int, int]:
    return row["frames"], row["height"], row["width"]


def _is_of(row: Row, bucket: Bucket) -> bool:
    return (_shape(row), row["fps"]) == (bucket.latent_FHW, bucket.fps)


def _cut(clips: Sequence[Row], most: float, channels: int) -> list[tuple[Row, ...]]:
    """Parts of about that many bytes, of latents and of text that came with them."""
    parts: list[list[Row]] = []
    size = most
    for row in clips:
        frames, height, width = _shape(row)
        own = 2 * frames * height * width * channels
        own += 2 * (row["tokens"] or 0) * (row["text_dim"] or 0)
        if size + own > most:
            parts.append([])
            size = 0
        parts[-1].append(row)
        size += own
    return [tuple(part) for part in parts]
