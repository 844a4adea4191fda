"""Which plan a config asks for: one size of batches, a size per shape, or packs."""

import math
from collections.abc import Sequence
from typing import Any

from videogen.build import Settings
from videogen.core.errors import ConfigError
from videogen.data.mixture import cycle_counts
from videogen.data.packs import Packs
from videogen.data.plan import Bucket, Plan, batch_of_tokens
from videogen.nn.patch import token_grid

LEAST_TEXT = 8  # tokens of a caption that may be left in a packed row


def make_plan(settings: Settings, datasets: Sequence[Sequence[Bucket]]) -> Plan | Packs:
    """The plan over the buckets of all datasets. ConfigError for what does not fit."""
    config = settings.data
    buckets = tuple(bucket for dataset in datasets for bucket in dataset)
    shares = [share for _, share in config.mix]
    sizes = [[bucket.num_records for bucket in dataset] for dataset in datasets]
    counts = cycle_counts(sizes, shares)
    common: dict[str, Any] = {
        "buckets": buckets,
        "seed": settings.data_seed,
        "global_batch": config.global_batch,
    }
    tokens = tuple(num_tokens(settings, bucket) for bucket in buckets)
    for bucket in buckets:
        check_positions(settings, bucket)
    if config.row_tokens:
        check_packs(settings)
        return Packs(
            **common,
            tokens=tokens,
            counts=counts,
            row_tokens=config.row_tokens,
            row_clips=config.row_clips,
        )
    batch = (
        tuple(
            batch_of_tokens(config.global_batch, config.batch_tokens, n) for n in tokens
        )
        if config.batch_tokens
        else ()
    )
    return Plan(
        **common,
        ramp=config.batch_ramp,
        counts=counts if shares else (),
        sizes=batch,
    )


def num_tokens(settings: Settings, bucket: Bucket) -> int:
    """Tokens of a clip of the bucket. ConfigError if the patch does not divide it."""
    try:
        return num_tokens_of(settings, bucket.latent_shape)
    except ConfigError as error:
        raise ConfigError(
            f"config.model.patch and bucket {bucket.name} of config.data: {error}"
        ) from None


def num_tokens_of(settings: Settings, latent_shape: Sequence[int]) -> int:
    """Tokens of a latent (F, H, W, C). ConfigError if the patch does not divide it."""
    frames, rows, columns, _ = latent_shape
    return math.prod(token_grid((frames, rows, columns), settings.model.patch))


def check_packs(settings: Settings) -> None:
    """ConfigError when the network or the objective does not take packed rows."""
    field = f"config.data.row_tokens={settings.data.row_tokens}"
    if not settings.family.packs:
        raise ConfigError(
            f"{field}: config.model.family={settings.family_name!r} does not take packed "
            "rows; 'cross' does"
        )
    least = LEAST_TEXT * settings.data.row_clips
    if 0 < settings.data.row_text_tokens < least:
        raise ConfigError(
            f"config.data.row_text_tokens={settings.data.row_text_tokens} leaves a clip of "
            f"a full row less than {LEAST_TEXT} tokens of its text; at least {least} would "
            "work"
        )
    time = settings.time
    for name, asked in {
        "data.audio_version": settings.data.audio_version,
        "tasks": settings.tasks.gives,
        "model.given_channels": getattr(settings.model, "given_channels", 0),
        "time.chunk_frames or clean_frames": time.by_frame,
        "time.within": time.within != (0.0, 1.0),
        "time.stratified": time.stratified,
        "objective.learn_sigma": settings.objective.learn_sigma,
        "objective.learn_log_variance": settings.objective.learn_log_variance,
    }.items():
        if asked:
            raise ConfigError(f"{field}: packed rows do not go with config.{name}")


def check_positions(settings: Settings, bucket: Bucket) -> None:
    """ConfigError for clips of more frames, rows or columns than a learned table holds."""
    model = settings.model
    sizes = getattr(model, "position_sizes", (0, 0, 0))
    beside = getattr(model, "position_text", 0)  # a table beside another kind
    if getattr(model, "position", "learned") != "learned" and not beside:
        return
    grid = token_grid(bucket.latent_shape[:3], model.patch)
    if any(sizes) and any(n > size for n, size in zip(grid, sizes, strict=True)):
        raise ConfigError(
            f"config.model.position_sizes={sizes}, but clips of bucket {bucket.name} have "
            f"{grid} tokens"
        )
