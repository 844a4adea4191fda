"""A new version of sidecars becomes part of a finished dataset.

It was written aside. `publish` moves it: shards and null text, then the manifests that name
them, then dataset.json, which names the version. Whoever has the dataset open, or opens it at
any time between, finds the old versions whole; a run that was killed may be begun anew.
"""

import dataclasses
import pathlib
import shutil

from data_pipelines.facts import image_facts, text_facts
from data_pipelines.text import embed
from videogen.data.manifest import load_manifest
from videogen.data.null_text import write_null_text
from videogen.data.schema import CaptionInfo, DatasetInfo, ShardInfo
from videogen.data.source import Dataset
from videogen.data.writer import move_files, write_dataset, write_manifest
from videogen.image.base import ImageEncoder
from videogen.text.base import TextEncoder

# {(bucket, split): {"captions-v2": its shards, ...}}
Sidecars = dict[tuple[str, str], dict[str, tuple[ShardInfo, ...]]]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Version:
    """What dataset.json will say: who wrote the captions, and the text of which encoder.

    image: of image tokens instead, their encoder.
    """

    name: str
    made_by: CaptionInfo | None = None  # without: the captions are not new
    encoder: TextEncoder | None = None
    captions: str = ""  # TextInfo.captions
    image: ImageEncoder | None = None

    @property
    def kinds(self) -> set[str]:
        """Of the sidecars that are its own."""
        if self.image:
            return {f"image-{self.name}"}
        captions = {f"captions-{self.name}"} if self.made_by else set()
        return {f"text-{self.name}"} | captions


def publish(
    dataset: Dataset, version: Version, sidecars: Sidecars, work: pathlib.Path
) -> DatasetInfo:
    """Moves the shards of `work`, laid out as in the dataset, and names them."""
    name = version.name
    _rewrite_manifests(dataset, version, {})  # what an attempt before this one named
    for (bucket, _), kinds in sidecars.items():
        files = [
            work / bucket / file.file for files in kinds.values() for file in files
        ]
        move_files(files, dataset.directory / bucket)
    info = dataset.info
    if encoder := version.encoder:
        null_LD = embed(encoder, [""])[0]
        null_crc32 = write_null_text(dataset.directory, name, null_LD)
        facts = text_facts(encoder, null_crc32, version.captions)
        info = dataclasses.replace(info, text=info.text | {name: facts})
    if version.image:
        images = info.image | {name: image_facts(version.image)}
        info = dataclasses.replace(info, image=images)
    if version.made_by:
        info = dataclasses.replace(
            info,
            captions=(*info.captions, name),
            captioners=info.captioners | {name: version.made_by},
        )
    _rewrite_manifests(dataset, version, sidecars)
    write_dataset(dataset.directory, info)
    shutil.rmtree(work, ignore_errors=True)
    return info


def _rewrite_manifests(dataset: Dataset, version: Version, sidecars: Sidecars) -> None:
    """Each manifest with the version's sidecars as given, and the others as they are."""
    for bucket in dataset.info.buckets:
        manifest = load_manifest(dataset.directory / bucket)
        splits = {
            split: dataclasses.replace(
                info,
                sidecars={
                    k: v for k, v in info.sidecars.items() if k not in version.kinds
                }
                | sidecars.get((bucket, split), {}),
            )
            for split, info in manifest.splits.items()
        }
        if splits != manifest.splits:
            content = dataclasses.replace(manifest, splits=splits)
            write_manifest(dataset.directory / bucket, content)
