"""A dataset directory, opened and checked: random access to the clips of its buckets."""

import bisect
import concurrent.futures
import dataclasses
import functools
import itertools
import os
import pathlib
from collections.abc import Mapping, Sequence

import numpy as np

from videogen.core.errors import ConfigError, DataError, suggest
from videogen.data import records
from videogen.data.manifest import load_dataset, load_manifest
from videogen.data.plan import Bucket
from videogen.data.readers import Readers
from videogen.data.schema import DatasetInfo, Manifest, ShardInfo

_STAT_THREADS = 16  # a remote file system answers slowly, but many at once


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Clip:
    """One clip, with what was asked for of its sidecars."""

    latent: records.LatentRow
    caption: str | None  # None: not asked for, or null
    text_LD: np.ndarray | None  # None: not asked for
    audio: records.AudioRow | None = None  # None: not asked for
    image_LD: np.ndarray | None = None  # None: not asked for
    # Of further encoders, by the condition that they make ("text2", "pooled").
    more_text: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)


class Shards:
    """Random access to the raw records of one shard set. Files open at first use."""

    def __init__(
        self, directory: pathlib.Path, shards: tuple[ShardInfo, ...], readers: Readers
    ):
        self._directory = str(
            directory
        )  # joining paths costs as much as a small record
        self._shards = shards
        self._readers = readers
        self._ends = list(itertools.accumulate(shard.records for shard in shards))

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def __getitem__(self, index: int) -> bytes:
        shard, row = self._locate(index)
        info = self._shards[shard]
        path = os.path.join(self._directory, info.file)
        return self._readers.read(path, row, info.records)

    def place(self, index: int) -> str:
        """'<file> record <row>', for errors."""
        shard, row = self._locate(index)
        return f"{self._directory}/{self._shards[shard].file} record {row}"

    def _locate(self, index: int) -> tuple[int, int]:
        shard = bisect.bisect_right(self._ends, index)
        return shard, index - self._ends[shard] + self._shards[shard].records


class Source:
    """The clips of one bucket and split, joined row by row with chosen sidecars."""

    def __init__(
        self,
        bucket: Bucket,
        latents: Shards,
        captions: Shards | None = None,
        texts: Sequence[Shards] = (),
        audio: Shards | None = None,
        more_text: Mapping[str, Shards] | None = None,
        image: Shards | None = None,
    ):
        self.bucket = bucket
        self._latents = latents
        self._captions = captions
        self._texts = texts
        self._audio = audio
        self._more_text = more_text or {}
        self._image = image

    def __len__(self) -> int:
        return self.bucket.num_records

    def __getitem__(self, index: int) -> Clip:
        """`clip` with its first text."""
        return self.clip(index)

    def id(self, index: int) -> str:
        """The id of a row's clip; from its caption or text, which are small, if open."""
        if self._captions:
            return _parsed(self._captions, index, records.parse_caption).id
        if self._texts:
            return _parsed(self._texts[0], index, records.parse_text).id
        return _parsed(self._latents, index, records.parse_latent).id

    def caption(self, index: int) -> str | None:
        """The caption of a row, read alone; None where it is null."""
        assert self._captions is not None
        row = _parsed(self._captions, index, records.parse_caption)
        return None if row.is_null else row.caption

    def clip(
        self, index: int, text: int = 0, into_FHWC: np.ndarray | None = None
    ) -> Clip:
        """The clip of a row, with its text of the `text`-th version that was asked for.

        Its latent is a view of the record, or copied into `into_FHWC`. Raises DataError for
        a damaged record or one of another clip.
        """
        if not 0 <= index < len(self):
            raise IndexError(f"record {index} of {len(self)}")
        parse = functools.partial(records.parse_latent, into_FHWC=into_FHWC)
        latent = _parsed(self._latents, index, parse)
        if latent.latent_FHWC.shape != self.bucket.latent_shape:
            raise DataError(
                f"{self._latents.place(index)}: latent {latent.latent_FHWC.shape}, but "
                f"bucket {self.bucket.name} holds {self.bucket.latent_shape}"
            )
        caption = text_LD = audio = image_LD = None

        def text_of(shards: Shards) -> np.ndarray:
            return _parsed(shards, index, records.parse_text, latent.id).text_LD

        if self._captions:
            row = _parsed(self._captions, index, records.parse_caption, latent.id)
            caption = None if row.is_null else row.caption
        if self._texts:
            text_LD = text_of(self._texts[text])
        if self._audio:
            audio = _parsed(self._audio, index, records.parse_audio, latent.id)
        if self._image:
            row = _parsed(self._image, index, records.parse_image, latent.id)
            image_LD = row.image_LD
        return Clip(
            latent=latent,
            caption=caption,
            text_LD=text_LD,
            audio=audio,
            image_LD=image_LD,
            more_text={name: text_of(more) for name, more in self._more_text.items()},
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Dataset:
    """A finished dataset; `open_dataset` checks it."""

    directory: pathlib.Path
    info: DatasetInfo
    manifests: dict[str, Manifest]  # by bucket, in the dataset's order
    readers: Readers = dataclasses.field(default_factory=Readers)  # of all its sources

    def sources(
        self,
        split: str,
        *,
        captions: str | None = None,
        text: str | Sequence[str] | None = None,
        audio: str | None = None,
        more_text: Mapping[str, str] | None = None,
        image: str | None = None,
    ) -> tuple[Source, ...]:
        """One source per bucket with records in `split`; versions such as "v1" join.

        Of several versions of the text, each reading of a clip takes one (`Source.clip`).
        more_text: condition -> version of a further text, which each reading has.

        Raises DataError when no bucket has any, ConfigError for an unknown version.
        """
        _check_version("captions", captions, self.info.captions)
        texts = (text,) if isinstance(text, str) else tuple(text or ())
        more_text = more_text or {}
        for version in (*texts, *more_text.values()):
            _check_version("text", version, self.info.text)
        _check_version("audio", audio, self.info.audio)
        _check_version("image", image, self.info.image)
        sources = tuple(
            self._source(name, split, captions, texts, audio, more_text, image)
            for name, manifest in self.manifests.items()
            if split in manifest.splits and manifest.splits[split].records
        )
        if not sources:
            raise DataError(f"{self.directory}: no records in its {split} split")
        return sources

    def _source(
        self,
        name: str,
        split: str,
        captions: str | None,
        texts: tuple[str, ...],
        audio: str | None,
        more_text: Mapping[str, str],
        image: str | None,
    ) -> Source:
        manifest = self.manifests[name]
        info = manifest.splits[split]

        def opened(shards: tuple[ShardInfo, ...]) -> Shards:
            return Shards(self.directory / name, shards, self.readers)

        def sidecar(kind: str, version: str) -> Shards:
            if f"{kind}-{version}" not in info.sidecars:
                raise DataError(
                    f"{self.directory / name}: {split} has no {kind}-{version}"
                )
            return opened(info.sidecars[f"{kind}-{version}"])

        bucket = Bucket(
            name=name,
            num_records=info.records,
            latent_shape=manifest.latent_shape,
            ids_sha256=info.ids_sha256,
        )
        return Source(
            bucket,
            opened(info.latents),
            None if captions is None else sidecar("captions", captions),
            [sidecar("text", version) for version in texts],
            None if audio is None else sidecar("audio", audio),
            {name: sidecar("text", version) for name, version in more_text.items()},
            None if image is None else sidecar("image", image),
        )


def open_dataset(directory: str | os.PathLike[str]) -> Dataset:
    """The dataset of a directory, every file present and of its manifest's size.

    Raises DataError: unfinished, of another schema, or with a missing or cut shard.
    """
    directory = pathlib.Path(directory)
    info = load_dataset(directory)
    manifests = {name: load_manifest(directory / name) for name in info.buckets}
    files = [
        (directory / name / shard.file, shard.size)
        for name, manifest in manifests.items()
        for split in manifest.splits.values()
        for shard in itertools.chain(split.latents, *split.sidecars.values())
    ]
    with concurrent.futures.ThreadPoolExecutor(_STAT_THREADS) as threads:
        list(threads.map(lambda file: _check_size(*file), files))  # first fault first
    return Dataset(directory=directory, info=info, manifests=manifests)


def _check_size(path: pathlib.Path, size: int) -> None:
    try:
        found = path.stat().st_size
    except OSError as error:
        raise DataError(
            f"{path}: {error.strerror}, but the manifest names it; copy or encode this "
            "shard again"
        ) from error
    if found != size:
        raise DataError(
            f"{path}: {found} bytes, but the manifest says {size}; copy or encode this "
            "shard again"
        )


def _check_version(kind: str, version: str | None, versions) -> None:
    if version is not None and version not in versions:
        raise ConfigError(
            f"data.{kind}={version!r} is not in the dataset{suggest(version, versions)}"
        )


def _parsed(shards: Shards, index: int, parse, id: str | None = None):
    """The parsed record; DataError names its place, also when it is of another clip."""
    record = shards[index]  # its errors name the place
    try:
        row = parse(record)
    except DataError as error:
        raise DataError(f"{shards.place(index)}: {error}") from error
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise DataError(
            f"{shards.place(index)}: a field is missing, or of another kind: {error}"
        ) from error
    if id is not None and row.id != id:
        raise DataError(
            f"{shards.place(index)}: of clip {row.id}, but the latents' row is {id}; "
            "write this sidecar again"
        )
    return row
