"""One shard of an import: its clips read again from their files, and written as records."""

import collections
import itertools
import pathlib
from collections.abc import Iterable, Iterator
from typing import Any

from data_pipelines.exchange.clips import Clip, find_clips
from data_pipelines.exchange.formats import FORMATS
from data_pipelines.exchange.import_plan import Shard
from data_pipelines.exchange.import_settings import ImportSettings
from data_pipelines.exchange.record import Fault
from data_pipelines.moments import Moments
from data_pipelines.quarantine import Reject
from data_pipelines.shard import CAPTIONS, IMAGE, LATENTS, TEXT, ShardResult, version
from data_pipelines.tables import Row
from data_pipelines.text import embed, load_text_encoder
from data_pipelines.units import write_part
from videogen.core.errors import DataError
from videogen.data import records
from videogen.data.schema import ShardInfo
from videogen.data.writer import shard_name, write_shard
from videogen.tokenizers.base import num_frames


class ShardImporter:
    """Writes shards; made once per worker."""

    def __init__(
        self,
        out: pathlib.Path,
        parts: pathlib.Path,
        settings: ImportSettings,
        text_length: int,
    ):
        self._out, self._parts, self._settings = out, parts, settings
        self._vae, self._constants = settings.open_vae(), settings.constants()
        self._encoder = None
        if not settings.text_key:
            self._encoder = load_text_encoder(settings.text_encoder, text_length)

    def __call__(self, numbered: tuple[int, Shard]) -> dict[str, Any]:
        """Writes the shard's files, then its part: a ShardResult. Raises DataError."""
        number, shard = numbered
        moments = Moments.empty(self._vae.channels)
        texts: list[bytes] = []
        images: list[bytes] = []
        beside = texts, images
        latents = self._write(LATENTS, shard, self._latents(shard, moments, *beside))
        captions = (
            records.caption_record(id=row["id"], caption=row["caption"])
            for row in shard.clips
        )
        files = {LATENTS: latents} | {
            name: self._write(name, shard, rows)
            for name, rows in (
                (CAPTIONS + version(0), captions),
                (TEXT + version(0), texts or self._embedded(shard)),
                *([(IMAGE + version(0), images)] if images else []),
            )
        }
        result = ShardResult(
            bucket=shard.bucket.name, split=shard.split, files=files, moments=moments
        )
        write_part(self._parts, number, [result.to_json()])
        return {}

    def _write(self, kind: str, shard: Shard, rows: Iterable[bytes]) -> ShardInfo:
        name = shard_name(kind, shard.split, shard.index, shard.count)
        return write_shard(self._out / shard.bucket.name / name, rows)

    def _latents(
        self, shard: Shard, moments: Moments, texts: list[bytes], images: list[bytes]
    ) -> Iterator[bytes]:
        """Records of the latents; of what lies beside them, into `texts` and `images`."""
        frames, height, width = shard.bucket.latent_FHW
        stride_t, stride_h, stride_w = self._vae.strides
        for row, clip in read_clips(self._settings, shard.clips):
            try:
                latent_FHWC = clip.latent_FHWC(self._constants)
                logvar_FHWC = clip.logvar_FHWC(self._constants)
                text_LD, image_LD = clip.text_LD(), clip.image_LD()
            except Reject as reject:
                raise _changed(row, reject.reason) from reject
            moments.add(latent_FHWC)
            if text_LD is not None:
                texts.append(records.text_record(id=row["id"], text_LD=text_LD))
            if image_LD is not None:
                images.append(records.image_record(id=row["id"], image_LD=image_LD))
            yield records.latent_record(
                id=row["id"],
                source_id=row["source_id"],
                latent_FHWC=latent_FHWC,
                logvar_FHWC=logvar_FHWC,
                fps=shard.bucket.fps,
                start_s=row["start_s"],
                num_frames=num_frames(frames, self._vae.strides),
                height=height * stride_h,
                width=width * stride_w,
                label=row["label"],
            )

    def _embedded(self, shard: Shard) -> Iterator[bytes]:
        """Of each caption, by an encoder here."""
        assert self._encoder is not None
        told = sorted({row["caption"] or "" for row in shard.clips})
        embedded = dict(zip(told, embed(self._encoder, told), strict=True))
        for row in shard.clips:
            text_LD = embedded[row["caption"] or ""]
            yield records.text_record(id=row["id"], text_LD=text_LD)


def read_clips(
    settings: ImportSettings, rows: Iterable[Row]
) -> Iterator[tuple[Row, Clip]]:
    """Each row's clip, in order; a file is gone through once. DataError: no longer there."""
    for name, group in itertools.groupby(rows, key=lambda row: row["name"]):
        wanted = {(row["place"], row["star"], row["row"]): row for row in group}
        left = collections.Counter(place for place, _, _ in wanted)
        path = pathlib.Path(settings.source, name)
        last, keys = {}, settings.keys
        try:
            for record in FORMATS[settings.format].read(str(path), left):
                if isinstance(record, Fault) or not left[record.place]:
                    continue
                for clip in find_clips(record, keys):
                    if row := wanted.pop((record.place, clip.star, clip.row), None):
                        last = row
                        left[record.place] -= 1
                        yield row, clip
                    if not left[record.place]:
                        break  # what follows in the record was set aside
                if not wanted:
                    break
        except (OSError, Reject) as error:
            raise _changed(last or next(iter(wanted.values())), str(error)) from error
        if wanted:
            raise _changed(next(iter(wanted.values())), "its tensors are gone")


def _changed(row: Row, reason: str) -> DataError:
    return DataError(
        f"{row['name']}: clip {row['id']} was sound and is not now ({reason}): files must "
        f"not change meanwhile; the same command goes on"
    )
