"""Image tokens of a finished dataset: of each clip's first frame, as it was encoded.

Which frame that is, and how it is cut, say the tables that the dataset was encoded from; the
frame itself comes from the video. Latents are not read.
"""

import dataclasses
import functools
import itertools
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from data_pipelines.adding import Part, add, make_shard
from data_pipelines.alone import alone
from data_pipelines.clips import Clip
from data_pipelines.guard import Limits
from data_pipelines.image_settings import ImageSettings
from data_pipelines.pixels import read_levels
from data_pipelines.places import is_there
from data_pipelines.publish import Version
from data_pipelines.settings import IngestSettings
from data_pipelines.sources import paths_by_id
from data_pipelines.stages import Runner
from data_pipelines.tables import Row, Tables
from data_pipelines.target import Target
from videogen.core.errors import ConfigError, DataError
from videogen.data import records
from videogen.data.schema import DatasetInfo
from videogen.data.source import Dataset, open_dataset
from videogen.data.writer import ids_sha256
from videogen.image import make_encoder
from videogen.image.base import ImageEncoder

IMAGES = 32  # that are encoded together
PHASES = ("ingest", "shots", "encode")  # whose tables say what a clip is


@dataclasses.dataclass(frozen=True, kw_only=True)
class ImagePart(Part):
    """clips: of the shard's rows. size: of a frame, (height, width)."""

    clips: tuple[Clip, ...]
    size: tuple[int, int]
    fps: float


def add_image(
    settings: ImageSettings, limits: Limits | None = None, runner: Runner | None = None
) -> DatasetInfo:
    """Writes the version and what names it. Raises ConfigError or DataError.

    A version that is there, by this very encoder, stays.
    """
    directory = pathlib.Path(settings.dataset).resolve()
    open_dataset(directory)  # a wrong directory, before anything is written there
    with alone(directory) as work:
        dataset = open_dataset(directory)
        encoder = load_image_encoder(settings.image_encoder)
        if is_added(settings, dataset.info, encoder):
            return dataset.info
        tables = {phase: _tables(settings, phase) for phase in PHASES}
        check_tables(dataset, tables)
        return add(
            dataset,
            Version(name=settings.version, image=encoder),
            list(find_parts(dataset, tables, settings)),
            lambda aside: functools.partial(
                FrameEncoder, aside, settings, limits or Limits()
            ),
            made_of=(encoder.fingerprint, tables["encode"].need("encode").sha256),
            work=work,
            runner=runner,
        )


@functools.lru_cache(maxsize=1)
def load_image_encoder(name: str) -> ImageEncoder:
    """The encoder of a name; one per process. Raises ConfigError or DataError."""
    return make_encoder(name)


def is_added(settings: ImageSettings, info: DatasetInfo, encoder: ImageEncoder) -> bool:
    """Whether the version is there. ConfigError: by another encoder."""
    there = info.image.get(settings.version)
    if there and there.fingerprint != encoder.fingerprint:
        raise ConfigError(
            f"--version={settings.version}: {settings.dataset} has it already, by "
            f"{there.name} ({there.fingerprint[:8]}), not by this {encoder.name} "
            f"({encoder.fingerprint[:8]}); another name would work"
        )
    return there is not None


def _tables(settings: ImageSettings, phase: str) -> Tables:
    """encode's table lies in its dataset, the others perhaps elsewhere."""
    own = Target(out=pathlib.Path(settings.dataset)).tables
    return Tables(own if phase == "encode" else settings.tables or own)


def check_tables(dataset: Dataset, tables: Mapping[str, Tables]) -> None:
    """ConfigError or DataError unless the dataset was encoded from these tables."""
    known = dataset.info.encode.get("tables")
    if not isinstance(known, dict):
        raise ConfigError(
            f"{dataset.directory} was not encoded from videos here, and nothing says which "
            "frames its clips begin with: `all` makes one that does, and `import "
            "--image-key` brings tokens along"
        )
    for phase, own in tables.items():
        if own.need(phase).sha256 != known.get(phase):
            raise ConfigError(
                f"{dataset.directory} was encoded from another table of {phase} than is in "
                f"{own.directory}: --tables=DIRECTORY, where that one is, would work"
            )


def find_parts(
    dataset: Dataset, tables: Mapping[str, Tables], settings: ImageSettings
) -> Iterator[ImagePart]:
    """A part for each shard, in order. DataError: a video is gone, or the rows are others."""
    shots = {row["id"]: row for row in tables["shots"].read("shots")}
    rows = tables["encode"].read("encode")
    used = {shots[row["id"]]["source_id"] for row in rows}
    sources = tables["ingest"].read("ingest")
    paths = find_paths([row for row in sources if row["id"] in used], settings)
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((row["bucket"], row["split"]), []).append(row)
    for (bucket, split), own in groups.items():
        manifest = dataset.manifests[bucket]
        info = manifest.splits[split]
        if ids_sha256(row["id"] for row in own) != info.ids_sha256:
            raise DataError(
                f"{dataset.directory / bucket}: the clips of {split} are not those of the "
                "table of encode; encode this dataset again"
            )
        for index, group in itertools.groupby(own, key=lambda row: row["shard"]):
            yield ImagePart(
                bucket=bucket,
                split=split,
                index=index,
                count=len(info.latents),
                clips=tuple(_clip(shots[row["id"]], paths) for row in group),
                size=(manifest.height, manifest.width),
                fps=manifest.fps,
            )


def _clip(row: Row, paths: Mapping[str, str]) -> Clip:
    """Of a row of shots."""
    return Clip(
        path=paths[row["source_id"]],
        captions=(),
        label=-1,
        **{
            name: row[name]
            for name in ("id", "source_id", "start_s", "first_frame", "last_frame")
        },
    )


def find_paths(sources: Sequence[Row], settings: ImageSettings) -> Mapping[str, str]:
    """Source id -> where its video is. DataError, naming the first that is gone."""
    if settings.videos:
        paths = paths_by_id(IngestSettings(videos=settings.videos))
    else:
        paths = {row["id"]: row["path"] for row in sources if is_there(row["path"])}
    for row in sources:
        if row["id"] not in paths:
            raise DataError(
                f"{settings.videos or row['path']}: {row['name']} is not there, of which "
                f"{settings.dataset} has clips; --videos=..., where it is now, would work"
            )
    return paths


class FrameEncoder:
    """Writes shards of image tokens; made once per worker, which loads the encoder."""

    def __init__(self, aside: pathlib.Path, settings: ImageSettings, limits: Limits):
        self._aside, self._limits = aside, limits
        self._kind = f"image-{settings.version}"
        self._encoder = load_image_encoder(settings.image_encoder)

    def __call__(self, part: ImagePart) -> dict[str, Any]:
        """As `make_shard`."""
        return make_shard(self._aside, self._kind, part, lambda: self._rows(part))

    def _rows(self, part: ImagePart) -> Iterator[bytes]:
        frames = read_levels(part.clips, (1, *part.size), part.fps, self._limits)
        while some := list(itertools.islice(frames, IMAGES)):
            image_BLD = self._encoder.encode([levels[0] for _, levels in some])
            for (clip, _), image_LD in zip(some, image_BLD, strict=True):
                yield records.image_record(id=clip.id, image_LD=image_LD)
