"""A further text version of a finished dataset: its captions by another encoder.

Latents are not read.
"""

import dataclasses
import functools
import itertools
import pathlib
from collections.abc import Iterator
from typing import Any

from data_pipelines.adding import Part, add, make_shard
from data_pipelines.alone import alone
from data_pipelines.publish import Version
from data_pipelines.stages import Runner
from data_pipelines.text import embed, load_text_encoder
from data_pipelines.text_settings import TextSettings
from videogen.core.errors import ConfigError
from videogen.data import records
from videogen.data.readers import Readers
from videogen.data.schema import DatasetInfo, ShardInfo
from videogen.data.source import Dataset, Shards, open_dataset
from videogen.text.base import TextEncoder

ROWS = 256  # captions that are embedded together


@dataclasses.dataclass(frozen=True, kw_only=True)
class TextPart(Part):
    """captions: the whole shard set; the rows [start, stop) are the part's own."""

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
        return add(
            dataset,
            new_version(settings, encoder),
            parts,
            lambda aside: functools.partial(ShardEmbedder, directory, aside, settings),
            made_of=(encoder.fingerprint, parts),
            work=work,
            runner=runner,
        )


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


def find_parts(dataset: Dataset, captions: str) -> Iterator[TextPart]:
    """A part for each shard, bucket by bucket and split by split, in order."""
    for bucket, manifest in dataset.manifests.items():
        for split, info in manifest.splits.items():
            shards = info.sidecars[f"captions-{captions}"]
            ends = list(itertools.accumulate(shard.records for shard in shards))
            for index, (shard, end) in enumerate(zip(shards, ends, strict=True)):
                yield TextPart(
                    bucket=bucket,
                    split=split,
                    index=index,
                    count=len(shards),
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

    def __call__(self, part: TextPart) -> dict[str, Any]:
        """As `make_shard`."""
        kind = f"text-{self._version}"
        return make_shard(self._aside, kind, part, lambda: self._rows(part))

    def _rows(self, part: TextPart) -> Iterator[bytes]:
        folder = self._directory / part.bucket
        captions = Shards(folder, part.captions, self._readers)
        for start in range(part.start, part.stop, ROWS):
            places = range(start, min(start + ROWS, part.stop))
            rows = [records.parse_caption(captions[place]) for place in places]
            texts = embed(self._encoder, [row.caption or "" for row in rows])
            for row, text_LD in zip(rows, texts, strict=True):
                yield records.text_record(id=row.id, text_LD=text_LD)
