"""What a run reads: its dataset's tokenizer, its batches, and its prompts' embeddings."""

import dataclasses
import functools
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
from jax.sharding import Mesh

from videogen import text, tokenizers
from videogen.build import Settings
from videogen.core.errors import ConfigError
from videogen.core.types import Batch
from videogen.data import device, pipeline
from videogen.data.null_text import load_null_text
from videogen.data.plan import Plan
from videogen.data.schema import DatasetInfo, TextInfo
from videogen.data.source import Dataset, Source, open_dataset
from videogen.parallel import rules
from videogen.text.base import TextEncoder
from videogen.tokenizers.base import Tokenizer

# Samples without prompts: of how many captions, out of how many clips looked at.
MAX_CAPTIONS = 8
MAX_LOOKED_AT = 64


@dataclasses.dataclass(frozen=True, kw_only=True)
class Feed:
    """An opened dataset, on a mesh."""

    settings: Settings
    mesh: Mesh
    dataset: Dataset
    tokenizer: Tokenizer
    train: tuple[Source, ...]
    plan: Plan
    conditioning: pipeline.Conditioning
    # Rank -> the sharding of a batch leaf.
    sharding_of_rank: Callable[[int], rules.NamedSharding]

    @property
    def info(self) -> DatasetInfo:
        return self.dataset.info

    @property
    def text(self) -> TextInfo:
        """What encoded the captions."""
        return self.info.text[self.settings.data.text_version]

    @property
    def latent_shape(self) -> tuple[int, int, int, int]:
        """(F, H, W, C) of the first bucket: what samples have."""
        return self.plan.buckets[0].latent_shape

    @property
    def fps(self) -> float:
        """Frames per second of the first bucket."""
        return self.dataset.manifests[self.plan.buckets[0].name].fps

    @property
    def num_clips(self) -> int:
        """Training clips."""
        return sum(len(source) for source in self.train)

    @property
    def identity(self) -> dict[str, str]:
        """What a resumed run must find unchanged."""
        tokenizer = self.info.tokenizer
        return {
            "tokenizer": f"{tokenizer.name} {tokenizer.fingerprint[:16]}",
            "text_encoder": f"{self.text.name} {self.text.fingerprint[:16]}",
            "plan": self.plan.id,
        }

    def batch_size(self, step: int) -> int:
        """Clips of a step's batch."""
        return self.plan.batch_size(step - self.settings.stage.start)

    def train_batches(self, start: int, stop: int | None = None) -> Iterator[Batch]:
        """The batches of steps start, start + 1, ... (to stop - 1), on the devices."""
        config, first = self.settings.data, self.settings.stage.start
        batches = pipeline.make_batches(
            self.train,
            self.plan,
            conditioning=self.conditioning,
            rows=functools.partial(device.local_rows, self.sharding_of_rank),
            start_step=start - first,
            stop_step=None if stop is None else stop - first,
            num_threads=config.num_threads,
            prefetch=config.prefetch,
        )
        return device.prefetch_to_device(batches, self.sharding_of_rank)

    def validation_batches(self) -> Iterable[Batch]:
        """The held-out clips in order, padded to whole batches."""
        config = self.settings.validation
        shards = self.mesh.shape["replica"] * self.mesh.shape["fsdp"]
        batch_size = -(-config.batch_size // shards) * shards
        batches = pipeline.validation_batches(
            self.validation,
            batch_size=batch_size,
            conditioning=self.conditioning,
            rows=device.local_rows(self.sharding_of_rank, batch_size),
            max_records=config.max_clips or None,
        )
        return device.prefetch_to_device(batches, self.sharding_of_rank)

    @functools.cached_property
    def captions(self) -> tuple[str, ...]:
        """What the samples are of: the config's prompts or labels, or our own captions."""
        config = self.settings.sample
        labels = tuple(f"class {label}" for label in config.labels)
        return config.prompts or labels or self._own_captions()

    def prompt_conditions(
        self, prompts: tuple[str, ...] | None = None
    ) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """(conditions (B, ...), null conditions (...)) on the host.

        Of `prompts`, by default of what `captions` says.
        """
        config = self.settings.sample
        labels = config.labels if prompts is None else ()
        if prompts is None:
            prompts = self.captions
            if labels and not config.prompts:
                prompts = ("",) * len(labels)
        text_BLD, text_mask_BL = self.encoder.encode(prompts)
        conditions = {
            "text_BLD": text_BLD,
            "text_mask_BL": text_mask_BL,
            "label_B": np.asarray(labels or (-1,) * len(prompts), np.int32),
        }
        null = {
            "text_BLD": self.conditioning.null_text_LD,
            "text_mask_BL": self.conditioning.null_mask_L,
            "label_B": np.asarray(-1, np.int32),
        }
        return conditions, null

    def _own_captions(self) -> tuple[str, ...]:
        """Distinct captions of training clips far apart in the first bucket."""
        version = self.info.captions[-1]
        source = self.dataset.sources("train", captions=version)[0]
        rows = np.linspace(0, len(source) - 1, min(len(source), MAX_LOOKED_AT))
        captions = [source[int(row)].caption or "" for row in rows]
        return tuple(dict.fromkeys(captions))[:MAX_CAPTIONS]

    @functools.cached_property
    def validation(self) -> tuple[Source, ...]:
        """The held-out clips. DataError when there are none."""
        version = self.settings.data.text_version
        return self.dataset.sources("validation", text=version)

    @functools.cached_property
    def encoder(self) -> TextEncoder:
        """The dataset's text encoder, loaded at the first prompt."""
        info = self.text
        encoder = text.make_encoder(info.name, info.length)
        if encoder.fingerprint != info.fingerprint:
            raise ConfigError(
                f"text encoder {info.name} here ({encoder.fingerprint[:8]}) is not the "
                f"one that encoded {self.dataset.directory} ({info.fingerprint[:8]}): "
                "install the same weights, or encode the dataset again"
            )
        return encoder


def open_feed(settings: Settings, mesh: Mesh) -> Feed:
    """The dataset of a config. DataError or ConfigError for what cannot be used."""
    config = settings.data
    dataset = open_dataset(Path(config.path))
    info = dataset.info
    check_kind("data.tokenizer", config.tokenizer, info.tokenizer.name, config.path)
    if config.text_version not in info.text:
        raise ConfigError(
            f"config.data.text_version={config.text_version!r} is not in {config.path} "
            f"(it has: {', '.join(sorted(info.text))})"
        )
    text_info = info.text[config.text_version]
    check_kind("data.text_encoder", config.text_encoder, text_info.name, config.path)
    train = dataset.sources("train", text=config.text_version)
    return Feed(
        settings=settings,
        mesh=mesh,
        dataset=dataset,
        tokenizer=tokenizers.load(
            config.path,
            name=info.tokenizer.name,
            file=info.tokenizer.file,
            fingerprint=info.tokenizer.fingerprint,
            mean=info.tokenizer.mean,
            std=info.tokenizer.std,
        ),
        train=train,
        plan=Plan(
            buckets=tuple(source.bucket for source in train),
            seed=settings.data_seed,
            global_batch=config.global_batch,
            ramp=config.batch_ramp,
        ),
        conditioning=pipeline.Conditioning.of(
            load_null_text(config.path, config.text_version, text_info.null_crc32),
            length=text_info.length,
            drop_rate=config.text_dropout,
            seed=settings.data_seed,
        ),
        sharding_of_rank=functools.partial(rules.batch_sharding, mesh),
    )


def check_kind(field: str, wanted: str, found: str, path: str) -> None:
    """ConfigError when the dataset was made by something else than the config says."""
    if wanted != found:
        raise ConfigError(
            f"config.{field}={wanted!r}, but {path} was made with {found!r}: encode it "
            f"again, or set --config.{field}={found}"
        )
