"""A finished dataset gets one more sidecar: a shard for each of the latents', row by row.

They are written aside, then published:

<dataset>/.captions/<sidecar>/<what they are made of>/    of a run that is not done
"""

import collections
import dataclasses
import hashlib
import json
import pathlib
import shutil
import tempfile
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from data_pipelines.publish import Version, publish
from data_pipelines.stages import Runner, map_items
from videogen.data.schema import DatasetInfo, ShardInfo
from videogen.data.source import Dataset
from videogen.data.writer import shard_name, write_file, write_shard

# A part -> the ShardInfo of its shard, as JSON.
Maker = Callable[[Any], dict[str, Any]]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Part:
    """One shard's work: `index` of `count` of a bucket's split."""

    bucket: str
    split: str
    index: int
    count: int


def add(
    dataset: Dataset,
    version: Version,
    parts: Sequence[Part],
    make: Callable[[pathlib.Path], Callable[[], Maker]],
    *,
    made_of: object,
    work: pathlib.Path,
    runner: Runner | None = None,
) -> DatasetInfo:
    """Makes the version's shards and publishes them.

    Args:
      parts: all of them, each split's in order.
      make: (where shards are written) -> what makes a worker's Maker.
      made_of: with another one, shards that lie aside are not gone on with.
      work: the dataset's work directory, ours alone (alone.py).
    """
    (kind,) = version.kinds
    all_works = work / kind
    aside = all_works / hashlib.sha256(repr(made_of).encode()).hexdigest()[:16]
    with tempfile.TemporaryDirectory(prefix="adding-", dir=work) as results:
        prefix = pathlib.Path(results, "shards")
        answers = map_items(parts, make(aside), prefix, runner or Runner())
    files: dict[tuple[str, str], list[ShardInfo]] = collections.defaultdict(list)
    for part, answer in zip(parts, answers, strict=True):
        files[part.bucket, part.split].append(ShardInfo(**answer))
    sidecars = {
        (bucket, split): {kind: tuple(files[bucket, split])}
        for bucket, manifest in dataset.manifests.items()
        for split in manifest.splits
    }
    info = publish(dataset, version, sidecars, aside)
    shutil.rmtree(all_works, ignore_errors=True)  # those of other settings
    return info


def make_shard(
    aside: pathlib.Path, kind: str, part: Part, rows: Callable[[], Iterable[bytes]]
) -> dict[str, Any]:
    """The shard's ShardInfo as JSON; one that is there is kept. Raises DataError."""
    name = shard_name(kind, part.split, part.index, part.count)
    path = aside / part.bucket / name
    facts = path.with_name(f"{name}.json")
    if not (path.exists() and facts.exists()):
        written = dataclasses.asdict(write_shard(path, rows()))
        write_file(facts, json.dumps(written).encode())
    return json.loads(facts.read_text())
