"""Which clip goes into which row of which shard: fixed before any pixel is encoded.

The plan is a function of the tables and the settings alone. Workers may take its shards
in any order, any number of times: the dataset's bytes are the same.
"""

import dataclasses
import itertools
from collections.abc import Iterable, Sequence

from data_pipelines import buckets
from data_pipelines.buckets import Bucket
from data_pipelines.captions import Captions
from data_pipelines.clips import Caption, Clip
from data_pipelines.encode_settings import EncodeSettings
from data_pipelines.tables import Row
from videogen.data.schema import SPLITS

# A source this much slower than the clips' rate repeats one frame in twenty.
SLOWEST = 0.95
MIB = 1 << 20


@dataclasses.dataclass(frozen=True, kw_only=True)
class Shard:
    """One unit of work: shard `index` of `count` of a bucket's split, in row order."""

    bucket: Bucket
    split: str
    index: int
    count: int
    clips: tuple[Clip, ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plan:
    """All shards, and (clip row, code, reason) of what has no place in them."""

    shards: tuple[Shard, ...]
    rejected: tuple[tuple[Row, str, str], ...]

    def clips(self, split: str, bucket: Bucket | None = None) -> list[Clip]:
        """Those of a split, of one bucket or of all, in order."""
        shards = (s for s in self.shards if s.split == split)
        return [c for s in shards if bucket in (None, s.bucket) for c in s.clips]

    @property
    def all_clips(self) -> list[Clip]:
        """Of every split."""
        return [clip for shard in self.shards for clip in shard.clips]

    @property
    def buckets(self) -> list[Bucket]:
        """Those that have any clips, in the order of the settings."""
        return list(dict.fromkeys(shard.bucket for shard in self.shards))


def make_plan(
    sources: Sequence[Row], clips: Sequence[Row], settings: EncodeSettings
) -> Plan:
    """The plan of the rows of ingest and of those clips of shots that were selected."""
    by_id = {source["id"]: source for source in sources}
    rejected: list[tuple[Row, str, str]] = []
    placed: dict[tuple[Bucket, str], list[Clip]] = {
        key: [] for key in itertools.product(settings.parsed_buckets(), SPLITS)
    }
    for source_id, group in itertools.groupby(clips, key=lambda row: row["source_id"]):
        source = by_id[source_id]
        fitting = []
        for row in group:
            bucket, code, reason = _bucket(row, settings)
            if bucket:
                fitting.append((row, bucket))
            else:
                rejected.append((row, code, reason))
        for (row, bucket), split in _splits(fitting, settings.validation_sources):
            if split:
                placed[bucket, split].append(_clip(row, source, bucket, settings.fps))
            else:
                reason = "shares time with the last clip, held out for validation"
                rejected.append((row, "HELD_OUT", reason))
    shards = (
        shard
        for (bucket, split), found in placed.items()
        for shard in _shards(bucket, split, found, settings)
    )
    return Plan(shards=tuple(shards), rejected=tuple(rejected))


def _bucket(row: Row, settings: EncodeSettings) -> tuple[Bucket | None, str, str]:
    """(bucket, "", ""), or (None, code, reason)."""
    fps, own = settings.fps, row["fps"]
    height, width, seconds = row["height"], row["width"], row["seconds"]
    chosen = buckets.choose(
        settings.parsed_buckets(), height=height, width=width, seconds=seconds, fps=fps
    )
    if not isinstance(chosen, Bucket):
        size = f"{height} x {width} pixels, {seconds:.3g} seconds"
        return None, chosen, f"{size}: it fills none of --buckets={settings.buckets}"
    if chosen.frames > 1 and own < SLOWEST * fps:
        reason = f"{own:.4g} frames per second, clips have {fps:g}"
        return None, "LOW_FPS", reason
    return chosen, "", ""


def _splits(
    clips: Sequence[tuple[Row, Bucket]], fraction: float
) -> Iterable[tuple[tuple[Row, Bucket], str | None]]:
    """Each clip of one source with its split; None for those that are in neither."""
    train, validation = SPLITS
    if not clips:
        return
    last = clips[-1][0]
    drawn = int(last["source_id"][:8], 16) / 16**8  # uniform: a hash
    for clip in clips:
        if fraction or not last["seconds"]:  # a still image has nothing to hold out
            yield clip, validation if drawn < fraction else train
        elif clip[0] is last:
            yield clip, validation
        else:
            yield clip, train if clip[0]["last_frame"] < last["first_frame"] else None


def _clip(row: Row, source: Row, bucket: Bucket, fps: float) -> Clip:
    captions = Captions.from_json(source["captions"])
    start_s, part = row["start_s"], row.get("part")  # older tables have no parts
    if part is None:
        text = captions.at(start_s, start_s + bucket.frames / fps)
    else:
        text = captions.spans[part].caption
    return Clip(
        id=row["id"],
        source_id=source["id"],
        path=source["path"],
        start_s=start_s,
        first_frame=row["first_frame"],
        last_frame=row["last_frame"],
        captions=(Caption(text=text),),
        label=captions.label,
    )


def _shards(
    bucket: Bucket, split: str, clips: list[Clip], settings: EncodeSettings
) -> list[Shard]:
    size = max(1, int(settings.shard_mib * MIB / bucket.latent_size(settings.channels)))
    parts = [tuple(clips[i : i + size]) for i in range(0, len(clips), size)]
    return [
        Shard(bucket=bucket, split=split, index=index, count=len(parts), clips=part)
        for index, part in enumerate(parts)
    ]
