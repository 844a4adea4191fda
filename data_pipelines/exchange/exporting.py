"""A dataset's clips as files of other programs: `python -m data_pipelines export SRC DST ...`.

    DST/train/00000000.parquet ...         FastVideo's rows, a few a file
    DST/train/00000000.safetensors ...     or a clip each: latents and perhaps logvar (C, F, H,
                                           W), text (L, D); its facts in 00000000.json

Likewise DST/validation. All is written to a folder beside DST, which gets its name at the end.
"""

import itertools
import json
import pathlib
import shutil
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import safetensors.numpy

from data_pipelines.exchange import fastvideo
from data_pipelines.exchange.export_settings import ExportSettings
from videogen.core.errors import ConfigError, DataError
from videogen.data.schema import SPLITS
from videogen.data.source import Clip, Dataset, open_dataset
from videogen.data.writer import write_file

_CHANNELS_FIRST = (3, 0, 1, 2)  # of (F, H, W, C)


def export(settings: ExportSettings, out: pathlib.Path) -> int:
    """The number of clips written. Raises ConfigError or DataError."""
    dataset = open_dataset(settings.source)
    if out.exists():
        raise ConfigError(f"{out} exists: a folder that does not yet would work")
    aside = out.with_name(f".{out.name}.part")  # of a run that was killed: begun anew
    try:
        shutil.rmtree(aside, ignore_errors=True)
        write = WRITERS[settings.format]
        counts = [
            write(aside / split, clips_of(dataset, split, settings)) for split in SPLITS
        ]
        aside.replace(out)
    except OSError as error:
        raise DataError(f"{out}: cannot be written: {error.strerror}") from error
    return sum(counts)


def clips_of(dataset: Dataset, split: str, settings: ExportSettings) -> Iterator[Clip]:
    """All of a split, bucket by bucket, in their order."""
    version = settings.text_version
    if version not in dataset.info.text:
        raise ConfigError(
            f"--text-version={version}: {dataset.directory} has "
            f"{', '.join(dataset.info.text)}"
        )
    captions = dataset.info.captions_of(version) or dataset.info.captions[0]
    if not any(
        manifest.splits[split].records for manifest in dataset.manifests.values()
    ):
        return
    for source in dataset.sources(split, captions=captions, text=version):
        yield from (source[row] for row in range(len(source)))


def write_rows(folder: pathlib.Path, clips: Iterator[Clip]) -> int:
    """FastVideo's Parquet files."""
    count = 0
    for number in itertools.count():
        rows = [_row(clip) for clip in itertools.islice(clips, fastvideo.ROWS_PER_FILE)]
        if not rows:
            return count
        fastvideo.write_fastvideo(folder / f"{number:08d}.parquet", rows)
        count += len(rows)
    raise AssertionError


def write_files(folder: pathlib.Path, clips: Iterator[Clip]) -> int:
    """A safetensors file and a JSON file each."""
    count = 0
    for count, clip in enumerate(clips, 1):
        latent, path = clip.latent, folder / f"{count - 1:08d}.safetensors"
        tensors = {"latents": latent.latent_FHWC.transpose(_CHANNELS_FIRST)}
        if latent.logvar_FHWC is not None:
            tensors["logvar"] = latent.logvar_FHWC.transpose(_CHANNELS_FIRST)
        if clip.text_LD is not None:
            tensors["text"] = clip.text_LD
        whole = {name: np.ascontiguousarray(x) for name, x in tensors.items()}
        facts = {
            name: getattr(latent, name)
            for name in ("id", "source_id", "label", "fps", "start_s")
        }
        facts |= {x: getattr(latent, x) for x in ("num_frames", "height", "width")}
        text = json.dumps(facts | {"caption": clip.caption}, indent=1, sort_keys=True)
        write_file(path.with_suffix(".json"), f"{text}\n".encode())
        write_file(path, safetensors.numpy.save(whole))
    return count


def _row(clip: Clip) -> dict[str, Any]:
    """One row of FastVideo's schema."""
    latent = clip.latent
    latent_CFHW = latent.latent_FHWC.transpose(_CHANNELS_FIRST)
    assert clip.text_LD is not None
    return {
        "id": latent.id,
        **fastvideo.triplet(fastvideo.LATENT, latent_CFHW),
        **fastvideo.triplet(fastvideo.TEXT, clip.text_LD),
        "file_name": latent.source_id,
        "caption": clip.caption or "",
        "media_type": "image" if latent.num_frames == 1 else "video",
        "width": latent.width,
        "height": latent.height,
        "num_frames": latent_CFHW.shape[1],
        "duration_sec": latent.num_frames / latent.fps,
        "fps": latent.fps,
    }


WRITERS: dict[str, Callable[[pathlib.Path, Iterator[Clip]], int]] = {
    "fastvideo": write_rows,
    "safetensors": write_files,
}
