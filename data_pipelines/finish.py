"""What closes a dataset: sidecar constants, the manifest, the quarantine, dataset.json."""

import dataclasses
import pathlib

from data_pipelines.facts import audio_facts, text_facts, tokenizer_facts
from data_pipelines.moments import Moments
from data_pipelines.plan import Plan
from data_pipelines.settings import EncodeSettings
from data_pipelines.shard import LATENTS, VERSION, ShardResult
from data_pipelines.text import embed
from videogen.data.null_text import write_null_text
from videogen.data.schema import (
    SCHEMA_VERSION,
    SPLITS,
    AudioInfo,
    DatasetInfo,
    Manifest,
    ShardInfo,
    SplitInfo,
)
from videogen.data.writer import ids_sha256, write_dataset, write_manifest
from videogen.text.base import TextEncoder
from videogen.tokenizers.base import Tokenizer, latent_shape


@dataclasses.dataclass(frozen=True, kw_only=True)
class Outcome:
    """All that a run knows once its shards are written."""

    settings: EncodeSettings
    arguments: dict[str, object]  # the settings and the videos' listing
    plan: Plan
    results: tuple[ShardResult, ...]  # in plan order

    @property
    def size(self) -> int:
        """Bytes of all shards."""
        return sum(file.size for part in self.results for file in part.files.values())

    @property
    def kinds(self) -> tuple[str, ...]:
        """Of files: "latents", "captions-v1", ..."""
        return tuple(self.results[0].files)


def write_outcome(
    outcome: Outcome,
    out: pathlib.Path,
    tokenizer: Tokenizer,
    text_encoder: TextEncoder,
) -> DatasetInfo:
    """Writes the remaining files, dataset.json last: with it the dataset is complete."""
    bucket = outcome.settings.bucket
    null_crc32 = write_null_text(out, VERSION, embed(text_encoder, [""])[0])
    write_manifest(out / bucket, _manifest(outcome, tokenizer))
    info = DatasetInfo(
        schema=SCHEMA_VERSION,
        name=out.name,
        tokenizer=tokenizer_facts(tokenizer, out, _train_moments(outcome, tokenizer)),
        text={VERSION: text_facts(text_encoder, null_crc32)},
        captions=(VERSION,),
        buckets=(bucket,),
        counts=outcome.plan.counts,
        encode=outcome.arguments,
        audio=_audio(outcome),
    )
    write_dataset(out, info)
    return info


def _manifest(outcome: Outcome, tokenizer: Tokenizer) -> Manifest:
    settings = outcome.settings
    size = settings.num_frames, settings.height, settings.width
    frames, height, width = latent_shape(*size, tokenizer.strides)
    return Manifest(
        schema=SCHEMA_VERSION,
        latent_shape=(frames, height, width, tokenizer.channels),
        fps=settings.fps,
        num_frames=settings.num_frames,
        height=settings.height,
        width=settings.width,
        splits={name: _split_info(outcome, name) for name in SPLITS},
    )


def _split_info(outcome: Outcome, split: str) -> SplitInfo:
    ids = [clip.id for clip in outcome.plan.split(split)]

    def files(kind: str) -> tuple[ShardInfo, ...]:
        return tuple(r.files[kind] for r in outcome.results if r.split == split)

    return SplitInfo(
        records=len(ids),
        ids_sha256=ids_sha256(ids),
        latents=files(LATENTS),
        sidecars={kind: files(kind) for kind in outcome.kinds if kind != LATENTS},
    )


def _audio(outcome: Outcome) -> dict[str, AudioInfo]:
    """What made the audio sidecar; empty without sound."""
    audio = outcome.settings.audio
    if audio is None:
        return {}
    moments = Moments.empty(audio.channels)
    for result in outcome.results:
        if result.split == "train" and result.audio_moments is not None:
            moments.merge(result.audio_moments)
    return {VERSION: audio_facts(audio, moments)}


def _train_moments(outcome: Outcome, tokenizer: Tokenizer) -> Moments:
    """Of the train latents, added up in plan order."""
    moments = Moments.empty(tokenizer.channels)
    for result in outcome.results:
        if result.split == "train":
            moments.merge(result.moments)
    return moments
