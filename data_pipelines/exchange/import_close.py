"""What closes an import: the tokenizer, the null text, manifests, dataset.json last."""

import pathlib
from collections.abc import Sequence

from data_pipelines.exchange.import_plan import Bucket, Shard
from data_pipelines.exchange.import_settings import ImportSettings
from data_pipelines.exchange.import_text import ImportedText
from data_pipelines.exchange.vae import Vae
from data_pipelines.finalise import split_info
from data_pipelines.moments import Moments
from data_pipelines.quarantine import Rejected
from data_pipelines.shard import ShardResult, version
from data_pipelines.tables import Arguments
from videogen.data.schema import (
    SCHEMA_VERSION,
    SPLITS,
    DatasetInfo,
    ImageInfo,
    Manifest,
)
from videogen.data.writer import write_dataset, write_manifest
from videogen.tokenizers.base import num_frames


def close(
    settings: ImportSettings,
    out: pathlib.Path,
    shards: Sequence[Shard],
    results: Sequence[ShardResult],
    text: ImportedText,
    image: ImageInfo | None,
    arguments: Arguments,
    rejected: Sequence[Rejected],
) -> DatasetInfo:
    """Writes the remaining files: with the last one the dataset is complete."""
    vae = settings.open_vae()
    vae.copy_file(settings.tokenizer_from, out)
    buckets = list(dict.fromkeys(shard.bucket for shard in shards))
    for bucket in buckets:
        content = _manifest(settings, bucket, shards, results, vae)
        write_manifest(out / bucket.name, content)
    moments = Moments.empty(vae.channels)
    for result in results:
        if result.split == "train":
            moments.merge(result.moments)
    rows = [(shard.split, row) for shard in shards for row in shard.clips]
    info = DatasetInfo(
        schema=SCHEMA_VERSION,
        name=out.name,
        tokenizer=vae.info(moments),
        text={version(0): text.write(out)},
        captions=(version(0),),
        buckets=tuple(bucket.name for bucket in buckets),
        counts={
            "quarantined": len(rejected),
            "clips": len(rows),
            **{split: sum(own == split for own, _ in rows) for split in SPLITS},
            "null_captions": sum(row["caption"] is None for _, row in rows),
        },
        encode={"import": arguments},
        image={} if image is None else {version(0): image},
    )
    write_dataset(out, info)
    return info


def _manifest(
    settings: ImportSettings,
    bucket: Bucket,
    shards: Sequence[Shard],
    results: Sequence[ShardResult],
    vae: Vae,
) -> Manifest:
    frames, height, width = bucket.latent_FHW
    rows = [
        {"id": row["id"], "split": shard.split}
        for shard in shards
        if shard.bucket == bucket
        for row in shard.clips
    ]
    mine = [result for result in results if result.bucket == bucket.name]
    return Manifest(
        schema=SCHEMA_VERSION,
        latent_shape=(frames, height, width, vae.channels),
        fps=bucket.fps,
        num_frames=num_frames(frames, vae.strides),
        height=height * vae.strides[1],
        width=width * vae.strides[2],
        splits={split: split_info(split, rows, mine) for split in SPLITS},
        logvar=bool(settings.logvar_key),
    )
