"""A dataset at a glance: counts, shapes, tokens, captions, latents, decoded clips."""

import dataclasses
import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import jax
import numpy as np
from markupsafe import Markup

from videogen import tokenizers
from videogen.core.errors import ConfigError
from videogen.data.source import Clip, Dataset, Source, open_dataset
from videogen.eval.charts import Chart, Line, draw
from videogen.eval.page import fill, jpeg_url
from videogen.eval.video import contact_sheet
from videogen.nn.patch import token_grid
from videogen.tokenizers.base import Tokenizer
from videogen.tokenizers.stated import NO_FILE

CLIPS_PER_BUCKET = 4  # decoded
CAPTIONS = 12
LOOKED_AT = 64  # clips of a bucket whose latents are measured
Triple = tuple[int, int, int]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Facts:
    """What the page shows, and the door prints."""

    counts: dict[str, str]
    buckets: list[dict[str, str]]
    captions: list[str]
    tokens: Chart
    latents: dict[str, str]


def render(directory: Path, patch: Triple) -> tuple[str, Facts]:
    """(the page, its facts). `patch` is the network's: it says what a token is."""
    dataset = open_dataset(directory)
    sources = dataset.sources("train", captions=dataset.info.captions[-1])
    facts = find_facts(dataset, sources, patch)
    page = fill(
        "dataset.jinja",
        name=dataset.directory.resolve().name,
        facts=facts,
        chart=Markup(draw(facts.tokens)),
        sheets=sheets(dataset, sources),
    )
    return page, facts


def find_facts(dataset: Dataset, sources: Sequence[Source], patch: Triple) -> Facts:
    """Numbers and words."""
    tokens = {source.bucket.name: num_tokens(source, patch) for source in sources}
    sizes = {source.bucket.name: len(source) for source in sources}
    total = sum(tokens[name] * size for name, size in sizes.items())
    counts = {
        name.replace("_", " "): f"{n:,}" for name, n in dataset.info.counts.items()
    }
    counts["tokens of an epoch"] = f"{total:,}"
    buckets = []
    for name, manifest in dataset.manifests.items():
        train = manifest.splits["train"]
        buckets.append(
            {
                "bucket": name,
                "pixels": f"{manifest.num_frames} x {manifest.height} x {manifest.width}",
                "fps": f"{manifest.fps:g}",
                "latent": " x ".join(map(str, manifest.latent_shape)),
                "clips": f"{train.records:,}",
                "tokens a clip": f"{tokens.get(name, 0):,}",
                "MB": f"{sum(shard.size for shard in train.latents) / 1e6:,.1f}",
            }
        )
    return Facts(
        counts=counts,
        buckets=buckets,
        captions=captions_of(sources),
        tokens=histogram(tokens, sizes),
        latents=latent_facts(dataset, sources),
    )


def num_tokens(source: Source, patch: Triple) -> int:
    """Of a clip. ConfigError if the patch does not divide it."""
    try:
        return math.prod(token_grid(source.bucket.latent_shape[:3], patch))
    except ConfigError as error:
        raise ConfigError(f"--patch and bucket {source.bucket.name}: {error}") from None


def histogram(tokens: dict[str, int], sizes: dict[str, int]) -> Chart:
    """Clips by their tokens."""
    by_tokens: dict[int, int] = {}
    for name, count in tokens.items():
        by_tokens[count] = by_tokens.get(count, 0) + sizes[name]
    x = sorted(by_tokens)
    line = Line(label="clips", x=x, y=[float(by_tokens[n]) for n in x], marker="o")
    title = "Clips by their tokens"
    return Chart(title=title, lines=[line], x_label="tokens of a clip", from_zero=True)


def captions_of(sources: Sequence[Source]) -> list[str]:
    """A few, spread over the first buckets."""
    found = []
    for source in sources:
        for row in picked(source, CAPTIONS // len(sources) + 1):
            found.append(source[row].caption or "(none)")
    return found[:CAPTIONS]


def latent_facts(dataset: Dataset, sources: Sequence[Source]) -> dict[str, str]:
    """Mean and deviation per channel, normalised: 0 and 1 where the constants are right."""
    info = dataset.info.tokenizer
    clips = (clip for source in sources for clip in rows(source, LOOKED_AT))
    values = [
        clip.latent.latent_FHWC.reshape(-1, info.channels).astype(np.float32)
        for clip in clips
    ]
    z = (np.concatenate(values) - np.asarray(info.mean)) / np.asarray(info.std)
    mean_C, std_C = z.mean(axis=0), z.std(axis=0)
    return {
        "tokenizer": f"{info.name}, {info.channels} channels, strides {info.strides}",
        "looked at": f"{len(values)} clips, normalised",
        "mean by channel": f"{mean_C.min():.3f} ... {mean_C.max():.3f}",
        "deviation by channel": f"{std_C.min():.3f} ... {std_C.max():.3f}",
        "largest value": f"{np.abs(z).max():.1f}",
    }


def sheets(dataset: Dataset, sources: Sequence[Source]) -> list[tuple[str, str]]:
    """By bucket; none of latents made elsewhere, which nothing here decodes."""
    if dataset.info.tokenizer.file == NO_FILE:
        return []
    return [(source.bucket.name, sheet(dataset, source)) for source in sources]


def sheet(dataset: Dataset, source: Source) -> str:
    """Decoded clips of a bucket, as a picture's data URL."""
    tokenizer = load_tokenizer(dataset)
    decode = jax.jit(tokenizer.decode)
    clips = list(rows(source, CLIPS_PER_BUCKET))
    videos = []
    for clip in clips:
        pixels = np.asarray(decode(clip.latent.latent_FHWC[None].astype(np.float32))[0])
        videos.append(np.round((np.clip(pixels, -1, 1) + 1) * 127.5).astype(np.uint8))
    return jpeg_url(contact_sheet(videos, [clip.caption or "" for clip in clips]))


def load_tokenizer(dataset: Dataset) -> Tokenizer:
    """The one that made the latents."""
    return tokenizers.load(str(dataset.directory), **vars(dataset.info.tokenizer))


def rows(source: Source, most: int) -> Iterator[Clip]:
    """Clips spread over the bucket."""
    for row in picked(source, most):
        yield source[row]


def picked(source: Source, most: int) -> list[int]:
    """Rows spread over the bucket."""
    places = np.linspace(0, len(source) - 1, min(most, len(source)))
    return sorted({int(place) for place in places})
