"""A further text version of a finished dataset: its captions by another encoder.

Latents are not read. Shards of the new sidecar, row by row as the others, are written aside:

<dataset>/.captions/text-<version>/<what they are made of>/    of a run that is not done
"""

import collections
import dataclasses
import functools
import hashlib
import itertools
import json
import pathlib
import shutil
import tempfile
from collections.abc import Iterator
from typing import Any

from data_pipelines.alone import alone
from data_pipelines.publish import Version, publish
from data_pipelines.stages import Runner, map_items
from data_pipelines.text import embed, load_text_encoder
from data_pipelines.text_settings import TextSettings
from videogen.core.errors import ConfigError
from videogen.data import records
from videogen.data.readers import Readers
from videogen.data.schema import DatasetInfo, ShardInfo
from videogen.data.source import Dataset, Shards, open_dataset
from videogen.data.writer import shard_name, write_file, write_shard
from videogen.text.base import TextEncoder

ROWS = 256  # captions that are embedded together


@dataclasses.dataclass(frozen=True, kw_only=True)
class Part:
    """One shard's work. captions: the whole shard set; the rows [start, stop) are its own."""

    bucket: str
    split: str
    index: int
    captions: tuple[ShardInfo, ...]
    start: int
    stop: int


def add_text(settings: TextSettings, runner: Runner | None = None) -> DatasetInfo:
    """Writes the version and what names it. Raises ConfigError or DataError."""
    directory = pathlib.Path(settings.dataset).resolve()
    open_dataset(directory)  # a wrong directory, before anything is written there
    with alone(directory) as work:
        dataset = open_dataset(directory)
        check(settings, dataset.info)
        encoder = load_text_encoder(settings.text_encoder, settings.text_length)
        parts = list(find_parts(dataset, settings.captions))
        all_works = work / f"text-{settings.version}"
        made_of = repr((encoder.fingerprint, parts)).encode()
        aside = all_works / hashlib.sha256(made_of).hexdigest()[:16]
        make = functools.partial(ShardEmbedder, directory, aside, settings)
        with tempfile.TemporaryDirectory(prefix="add-text-", dir=work) as results:
            prefix = pathlib.Path(results, "shards")
            answers = map_items(parts, make, prefix, runner or Runner())
        files: dict[tuple[str, str], list[ShardInfo]] = collections.defaultdict(list)
        for part, answer in zip(parts, answers, strict=True):
            files[part.bucket, part.split].append(ShardInfo(**answer))
        sidecars = {
            (bucket, split): {f"text-{settings.version}": tuple(files[bucket, split])}
            for bucket, manifest in dataset.manifests.items()
            for split in manifest.splits
        }
        info = publish(dataset, new_version(settings, encoder), sidecars, aside)
        shutil.rmtree(all_works, ignore_errors=True)  # those of other settings
        return info


def new_version(settings: TextSettings, encoder: TextEncoder) -> Version:
    """Captions are named where they are of another version."""
    other = settings.captions if settings.captions != settings.version else ""
    return Version(name=settings.version, encoder=encoder, captions=other)


def check(settings: TextSettings, info: DatasetInfo) -> None:
    """ConfigError for a version that is there, or captions that are not."""
    if settings.version in info.text:
        raise ConfigError(
            f"--version={settings.version}: {settings.dataset} has it already, by "
            f"{info.text[settings.version].name}; another name would work"
        )
    if settings.captions not in info.captions:
        raise ConfigError(
            f"--captions={settings.captions}: {settings.dataset} has "
            f"{', '.join(info.captions)}"
        )
    if settings.version in info.captions and settings.version != settings.captions:
        raise ConfigError(
            f"--captions={settings.captions}: {settings.version} of {settings.dataset} are "
            f"captions too: --captions={settings.version} or another --version would work"
        )


def find_parts(dataset: Dataset, captions: str) -> Iterator[Part]:
    """A part for each shard, bucket by bucket and split by split, in order."""
    for bucket, manifest in dataset.manifests.items():
        for split, info in manifest.splits.items():
            shards = info.sidecars[f"captions-{captions}"]
            ends = list(itertools.accumulate(shard.records for shard in shards))
            for index, (shard, end) in enumerate(zip(shards, ends, strict=True)):
                yield Part(
                    bucket=bucket,
                    split=split,
                    index=index,
                    captions=shards,
                    start=end - shard.records,
                    stop=end,
                )


class ShardEmbedder:
    """Writes shards of the new sidecar; made once per worker, which loads the encoder."""

    def __init__(
        self, directory: pathlib.Path, aside: pathlib.Path, settings: TextSettings
    ):
        self._directory, self._aside = directory, aside
        self._version = settings.version
        self._encoder = load_text_encoder(settings.text_encoder, settings.text_length)
        self._readers = Readers()

    def __call__(self, part: Part) -> dict[str, Any]:
        """The shard's ShardInfo as JSON; one that is there is kept. Raises DataError."""
        count = len(part.captions)
        name = shard_name(f"text-{self._version}", part.split, part.index, count)
        path = self._aside / part.bucket / name
        facts = path.with_name(f"{name}.json")
        if not (path.exists() and facts.exists()):
            written = dataclasses.asdict(write_shard(path, self._rows(part)))
            write_file(facts, json.dumps(written).encode())
        return json.loads(facts.read_text())

    def _rows(self, part: Part) -> Iterator[bytes]:
        folder = self._directory / part.bucket
        captions = Shards(folder, part.captions, self._readers)
        for start in range(part.start, part.stop, ROWS):
            places = range(start, min(start + ROWS, part.stop))
            rows = [records.parse_caption(captions[place]) for place in places]
            texts = embed(self._encoder, [row.caption or "" for row in rows])
            for row, text_LD in zip(rows, texts, strict=True):
                yield records.text_record(id=row.id, text_LD=text_LD)
