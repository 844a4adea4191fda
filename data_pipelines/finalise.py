"""Phase 8: what closes a dataset: manifests, funnel, quarantine, dataset.json last.

It has no table of its own: dataset.json says that all phases have ended.
"""

import pathlib
from typing import Any

from data_pipelines import quarantine
from data_pipelines.encode_settings import EncodeSettings
from data_pipelines.facts import audio_facts, text_facts, tokenizer_facts
from data_pipelines.funnel import Funnel
from data_pipelines.moments import Moments
from data_pipelines.shard import AUDIO, CAPTIONS, LATENTS, ShardResult
from data_pipelines.tables import Receipt, Row, Tables
from data_pipelines.target import FUNNEL, QUARANTINE
from data_pipelines.text import embed, load_text_encoder
from videogen.data.manifest import DATASET, load_dataset
from videogen.data.null_text import write_null_text
from videogen.data.schema import (
    SCHEMA_VERSION,
    SPLITS,
    AudioInfo,
    CaptionInfo,
    DatasetInfo,
    Manifest,
    ShardInfo,
    SplitInfo,
)
from videogen.data.writer import ids_sha256, write_dataset, write_file, write_manifest
from videogen.tokenizers import KINDS
from videogen.tokenizers.base import Tokenizer


def finished(out: pathlib.Path, encoded: Receipt) -> DatasetInfo | None:
    """The dataset, if it is there and of this very encoding."""
    if not (out / DATASET).is_file():
        return None
    info = load_dataset(out)
    return info if info.encode.get("tables") == _checksums(encoded) else None


def finalise(out: pathlib.Path, tables: Tables, encoded: Tables) -> DatasetInfo:
    """Writes the remaining files: with the last one the dataset is complete."""
    receipt = encoded.need("encode")
    settings = EncodeSettings(**receipt.arguments)  # type: ignore[arg-type]
    rows = encoded.read("encode")
    tokenizer = KINDS[settings.tokenizer].load(out / receipt.facts["tokenizer"])
    text_encoder = load_text_encoder(settings.text_encoder, settings.text_length)
    for bucket in receipt.facts["buckets"]:
        content = _manifest(bucket, receipt, rows, tokenizer, settings)
        write_manifest(out / bucket["name"], content)
    null_LD = embed(text_encoder, [""])[0]
    versions = _versions(receipt)
    funnel = Funnel.of(tables, encoded)
    write_file(out / FUNNEL, funnel.to_json().encode())
    write_file(out / QUARANTINE, quarantine.to_lines(funnel.rejected).encode())
    moments = _train_moments(receipt, tokenizer)
    info = DatasetInfo(
        schema=SCHEMA_VERSION,
        name=out.name,
        tokenizer=tokenizer_facts(tokenizer, out, moments),
        text={
            version: text_facts(text_encoder, write_null_text(out, version, null_LD))
            for version in versions
        },
        captions=versions,
        captioners={
            version: CaptionInfo(**fields)
            for version, fields in receipt.facts.get("captioners", {}).items()
        },
        buckets=tuple(bucket["name"] for bucket in receipt.facts["buckets"]),
        counts=_counts(funnel, rows, tables),
        encode={**funnel.arguments, "tables": _checksums(receipt)},
        audio=_audio(receipt, settings),
    )
    write_dataset(out, info)
    return info


def _versions(encoded: Receipt) -> tuple[str, ...]:
    """Of the captions, each with its text; the first one counts."""
    files = encoded.facts["shards"][0]["files"]
    found = (kind.removeprefix(CAPTIONS) for kind in files if kind.startswith(CAPTIONS))
    return tuple(found)


def _checksums(encoded: Receipt) -> dict[str, str]:
    return {**encoded.inputs, "encode": encoded.sha256}


def _counts(funnel: Funnel, rows: list[Row], tables: Tables) -> dict[str, int]:
    """The funnel, flat, and what people look for first."""
    splits = {split: sum(row["split"] == split for row in rows) for split in SPLITS}
    return {
        "videos": funnel.counts["ingest"]["in"],
        "quarantined": len(funnel.rejected),
        "shots": tables.need("shots").facts["shots"],
        "clips_found": funnel.counts["shots"]["out"],
        "clips": len(rows),
        **splits,
        "null_captions": sum(row["caption"] is None for row in rows),
        **{
            f"{phase}.{name}": count
            for phase, counts in funnel.counts.items()
            for name, count in counts.items()
        },
    }


def _manifest(
    bucket: dict[str, Any],
    receipt: Receipt,
    rows: list[Row],
    tokenizer: Tokenizer,
    settings: EncodeSettings,
) -> Manifest:
    frames, height, width = bucket["latent"]
    mine = [row for row in rows if row["bucket"] == bucket["name"]]
    results = [ShardResult.from_json(data) for data in receipt.facts["shards"]]
    results = [result for result in results if result.bucket == bucket["name"]]
    return Manifest(
        schema=SCHEMA_VERSION,
        latent_shape=(frames, height, width, tokenizer.channels),
        fps=settings.fps,
        num_frames=bucket["num_frames"],
        height=bucket["height"],
        width=bucket["width"],
        splits={split: split_info(split, mine, results) for split in SPLITS},
        logvar=settings.logvar,
    )


def split_info(split: str, rows: list[Row], results: list[ShardResult]) -> SplitInfo:
    """Of a bucket's rows, in order, and the results of its shards."""
    ids = [row["id"] for row in rows if row["split"] == split]

    def files(kind: str) -> tuple[ShardInfo, ...]:
        return tuple(r.files[kind] for r in results if r.split == split)

    return SplitInfo(
        records=len(ids),
        ids_sha256=ids_sha256(ids),
        latents=files(LATENTS),
        sidecars={kind: files(kind) for kind in results[0].files if kind != LATENTS},
    )


def _audio(receipt: Receipt, settings: EncodeSettings) -> dict[str, AudioInfo]:
    """What made the audio sidecar; empty without sound."""
    if (audio := settings.audio) is None:
        return {}
    moments = Moments.empty(audio.channels)
    for result in map(ShardResult.from_json, receipt.facts["shards"]):
        if result.split == "train" and result.audio_moments is not None:
            moments.merge(result.audio_moments)
    return {AUDIO.removeprefix("audio-"): audio_facts(audio, moments)}


def _train_moments(receipt: Receipt, tokenizer: Tokenizer) -> Moments:
    """Of the train latents, added up in plan order."""
    moments = Moments.empty(tokenizer.channels)
    for result in map(ShardResult.from_json, receipt.facts["shards"]):
        if result.split == "train":
            moments.merge(result.moments)
    return moments
