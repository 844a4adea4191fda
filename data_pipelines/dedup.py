"""Phase 4: which clips show the same, from different sources.

Equal files met at ingest. Here clips meet whose fingerprints (scores/dhash.py) share a
band of 16 bits: the usual way to find near ones without comparing all (locality-sensitive
hashing; Leskovec, Rajaraman and Ullman, Mining of Massive Datasets, chapter 3). Pairs
within `max_distance` are joined into groups. Which clip of a group stays is for `select`
to say, among those that meet its conditions.
"""

import collections
from collections.abc import Iterator, Sequence

import numpy as np

from data_pipelines.job import Job
from data_pipelines.tables import Result, Row

BAND_BYTES = 2
# A band that more share says nothing: beyond, neighbours alone meet.
MOST_IN_BAND = 2000
COLUMNS = {"id": str, "group": str}


def run(job: Job) -> Result:
    """A row for each scored clip; `group` is null for those that are like no other."""
    facts = {row["id"]: row for row in job.tables.read("shots")}
    clips = [{**facts[row["id"]], **row} for row in job.tables.read("score")]
    groups = find_groups(clips, job.settings.max_distance)
    rows = [{"id": clip["id"], "group": groups.get(clip["id"])} for clip in clips]
    return Result(columns=COLUMNS, rows=rows, rejected=(), given=len(rows))


def find_groups(clips: Sequence[Row], max_distance: int) -> dict[str, str]:
    """{id: the smallest id of its group} of the clips that are like another one."""
    clips = sorted(clips, key=lambda clip: clip["id"])  # their order decides nothing
    groups = _Groups(len(clips))
    for a, b in near_pairs([clip["dhash"] for clip in clips], max_distance):
        if clips[a]["source_id"] != clips[b]["source_id"]:
            groups.join(a, b)
    found = groups.found()
    return {
        clips[n]["id"]: clips[members[0]]["id"] for members in found for n in members
    }


def find_worse(clips: Sequence[Row]) -> dict[str, str]:
    """{id of a clip that goes: id of the one that stays}, of clips with their groups.

    The clip of the largest picture stays, else the longest, else the one of the smallest
    id; and with it the clips of its source: they may overlap because they were asked to.
    """
    groups = collections.defaultdict(list)
    for clip in clips:
        if clip["group"] is not None:
            groups[clip["group"]].append(clip)
    worse = {}
    for members in groups.values():
        best = min(members, key=_rank)
        for clip in members:
            if clip["source_id"] != best["source_id"]:
                worse[clip["id"]] = best["id"]
    return worse


def near_pairs(hashes: Sequence[str], max_distance: int) -> Iterator[tuple[int, int]]:
    """Pairs of indices that differ in at most so many bits, among those that may meet."""
    if not hashes:
        return
    bits = np.array([np.frombuffer(bytes.fromhex(h), np.uint8) for h in hashes])
    for band in bits.reshape(len(bits), -1, BAND_BYTES).transpose(1, 0, 2):
        meeting = collections.defaultdict(list)
        for index, value in enumerate(map(bytes, band)):
            if any(value):  # no bit set: a flat picture, like any other
                meeting[value].append(index)
        for members in meeting.values():
            for place, index in enumerate(members):
                others = members[place + 1 : place + 1 + MOST_IN_BAND]
                differ = np.bitwise_count(bits[others] ^ bits[index]).sum(axis=1)
                for other in np.flatnonzero(differ <= max_distance):
                    yield index, others[other]


def _rank(clip: Row) -> tuple[int, float, str]:
    return -clip["height"] * clip["width"], -clip["seconds"], clip["id"]


class _Groups:
    """Disjoint sets of 0..count-1 (union-find, the smaller number as root)."""

    def __init__(self, count: int):
        self._parent = list(range(count))

    def join(self, a: int, b: int) -> None:
        a, b = sorted((self._root(a), self._root(b)))
        self._parent[b] = a

    def found(self) -> list[list[int]]:
        """Those of more than one member."""
        groups = collections.defaultdict(list)
        for index in range(len(self._parent)):
            groups[self._root(index)].append(index)
        return [members for members in groups.values() if len(members) > 1]

    def _root(self, index: int) -> int:
        while self._parent[index] != index:
            self._parent[index] = self._parent[self._parent[index]]
            index = self._parent[index]
        return index
