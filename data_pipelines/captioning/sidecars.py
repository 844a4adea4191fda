"""A new version of the captions as shards, in a work directory of the dataset at first."""

import dataclasses
import itertools
import pathlib
from collections.abc import Callable, Iterable, Iterator

from data_pipelines.captioning.answers import Answer, Captioner, Row
from data_pipelines.captioning.tally import Tally
from data_pipelines.publish import Sidecars
from data_pipelines.text import embed
from videogen.core.errors import DataError
from videogen.data import records
from videogen.data.schema import ShardInfo, SplitInfo
from videogen.data.source import Dataset
from videogen.data.writer import ids_sha256, shard_name, write_shard
from videogen.text.base import TextEncoder


@dataclasses.dataclass(frozen=True, kw_only=True)
class SidecarWriter:
    """Writes the shards of a version into `work`, laid out as in the dataset."""

    dataset: Dataset
    version: str
    captioner: Captioner
    encoder: TextEncoder | None
    work: pathlib.Path

    @property
    def kinds(self) -> tuple[str, ...]:
        text = (f"text-{self.version}",) if self.encoder else ()
        return (f"captions-{self.version}", *text)

    def write(self, tally: Tally, say: Callable[[str], None]) -> Sidecars:
        """All shards, telling after each. DataError when too many get no caption."""
        answers = self.captioner(self._rows())

        def told() -> Iterator[Answer]:
            for answer in answers:
                tally.add(answer)
                yield answer

        try:
            counted = told()
            return {
                (bucket, split): self._write_split(
                    bucket, split, info, counted, lambda: say(f"  {tally}")
                )
                for (bucket, split), info in _splits(self.dataset)
            }
        finally:
            close = getattr(answers, "close", lambda: None)
            close()  # ends its threads now, not when somebody collects it

    def _rows(self) -> Iterator[Row]:
        """Every row of the dataset; ids come from the captions that it has."""
        known = next(iter(self.dataset.info.captions), None)
        filled = (split for (_, split), info in _splits(self.dataset) if info.records)
        for split in dict.fromkeys(filled):
            sources = self.dataset.sources(split, captions=known)
            for source in sources:
                yield from (Row(source=source, index=i) for i in range(len(source)))

    def _write_split(
        self,
        bucket: str,
        split: str,
        info: SplitInfo,
        answers: Iterator[Answer],
        done: Callable[[], None],
    ) -> dict[str, tuple[ShardInfo, ...]]:
        files: dict[str, list[ShardInfo]] = {kind: [] for kind in self.kinds}
        ids = []
        for index, latents in enumerate(info.latents):
            rows = list(itertools.islice(answers, latents.records))
            ids += [row.id for row in rows]
            for kind, content in self._records(rows).items():
                name = shard_name(kind, split, index, len(info.latents))
                files[kind].append(write_shard(self.work / bucket / name, content))
            done()
        if ids_sha256(ids) != info.ids_sha256:
            raise DataError(
                f"{self.dataset.directory / bucket}: the clips of {split} are not those "
                "that its manifest was written for; copy or encode this bucket again"
            )
        return {kind: tuple(shards) for kind, shards in files.items()}

    def _records(self, rows: list[Answer]) -> dict[str, Iterable[bytes]]:
        """{kind: a record a row}; a null caption has the embedding of ""."""
        made_by = {"model": self.captioner.model, "kind": self.captioner.kind}
        captions = (
            records.caption_record(
                id=row.id,
                caption=row.caption,
                **made_by,
                **({"reason": row.code} if row.code else {}),
            )
            for row in rows
        )
        if not self.encoder:
            return {self.kinds[0]: captions}
        texts = sorted({row.caption or "" for row in rows})
        embedded = dict(zip(texts, embed(self.encoder, texts), strict=True))
        text = (
            records.text_record(id=row.id, text_LD=embedded[row.caption or ""])
            for row in rows
        )
        return dict(zip(self.kinds, (captions, text), strict=True))


def _splits(dataset: Dataset) -> list[tuple[tuple[str, str], SplitInfo]]:
    """((bucket, split), info) of all, split by split: as `Dataset.sources` has them."""
    names = dict.fromkeys(s for m in dataset.manifests.values() for s in m.splits)
    return [
        ((bucket, split), manifest.splits[split])
        for split in names
        for bucket, manifest in dataset.manifests.items()
        if split in manifest.splits
    ]
