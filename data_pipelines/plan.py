"""Which clip goes into which row of which shard: fixed before any pixel is encoded.

The plan is a function of the videos and the settings alone. Workers may take its shards
in any order, any number of times: the dataset's bytes are the same.
"""

import dataclasses
from collections.abc import Iterable

from data_pipelines import quarantine
from data_pipelines.clips import Clip, hold_out
from data_pipelines.inspect_source import Inspection
from data_pipelines.quarantine import Rejected
from videogen.core.errors import DataError
from videogen.data.schema import SPLITS


@dataclasses.dataclass(frozen=True, kw_only=True)
class Shard:
    """One unit of work: shard `index` of `count` of a split, its clips in row order."""

    split: str
    index: int
    count: int
    clips: tuple[Clip, ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plan:
    """All shards, train first, and what was left out."""

    shards: tuple[Shard, ...]
    rejected: tuple[Rejected, ...]
    counts: dict[str, int]

    def split(self, name: str) -> list[Clip]:
        """The clips of a split in order."""
        parts = (shard.clips for shard in self.shards if shard.split == name)
        return [clip for part in parts for clip in part]

    def check(self) -> None:
        """DataError when no clip is left to train on."""
        counts = self.counts
        if not counts["clips"]:
            first = self.rejected[0]
            raise DataError(
                f"none of {counts['videos']} videos can be used ({quarantine.FILE} has "
                f"the reasons); the first: {first.name}: {first.code}: {first.reason}"
            )
        if not counts["train"]:
            raise DataError(
                f"no clip is left to train on: {counts['clips_found']} clips of "
                f"{counts['videos']} videos, and the last of each video is held out for "
                f"validation; longer videos, or a smaller --stride or --num-frames "
                f"would work"
            )


def make_plan(results: Iterable[Inspection | Rejected], clips_per_shard: int) -> Plan:
    """The plan of inspected sources, given in order."""
    results = list(results)
    sound, rejected = _drop_duplicates(results)
    splits: dict[str, list[Clip]] = {name: [] for name in SPLITS}
    for source in sound:
        for name, clips in zip(SPLITS, hold_out(list(source.clips)), strict=True):
            splits[name] += clips
    kept = [clip for clips in splits.values() for clip in clips]
    counts = {
        "videos": len(results),
        "quarantined": len(rejected),
        "shots": sum(source.shots for source in sound),
        "clips_found": sum(len(source.clips) for source in sound),
        "clips": len(kept),
        **{name: len(clips) for name, clips in splits.items()},
        "null_captions": sum(clip.caption is None for clip in kept),
    }
    shards = (
        shard
        for name, clips in splits.items()
        for shard in _shards(name, clips, clips_per_shard)
    )
    return Plan(shards=tuple(shards), rejected=tuple(rejected), counts=counts)


def _drop_duplicates(
    results: list[Inspection | Rejected],
) -> tuple[list[Inspection], list[Rejected]]:
    """The first source of equal bytes stays."""
    sound: dict[str, Inspection] = {}
    rejected = []
    for result in results:
        if isinstance(result, Rejected):
            rejected.append(result)
        elif (first := sound.setdefault(result.source_id, result)) is not result:
            reason = f"the same bytes as {first.name}"
            rejected.append(Rejected(name=result.name, code="DUPLICATE", reason=reason))
    return list(sound.values()), rejected


def _shards(split: str, clips: list[Clip], size: int) -> list[Shard]:
    parts = [tuple(clips[i : i + size]) for i in range(0, len(clips), size)]
    return [
        Shard(split=split, index=index, count=len(parts), clips=part)
        for index, part in enumerate(parts)
    ]
