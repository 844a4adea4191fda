"""What a run reads: its dataset's tokenizer, its batches, and its prompts' embeddings."""

import dataclasses
import functools
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from videogen import text, tokenizers
from videogen.build import DataConfig, Settings
from videogen.core.errors import ConfigError
from videogen.core.types import Array, Batch
from videogen.data import device, pipeline
from videogen.data.bad_records import BadRecords
from videogen.data.null_text import load_null_text
from videogen.data.packed import packed_batches
from videogen.data.packs import Packs
from videogen.data.plan import MOST_PROGRAMS, Bucket, Plan
from videogen.data.posterior import Posterior
from videogen.data.schema import AudioInfo, DatasetInfo, TextInfo
from videogen.data.source import Dataset, Source, open_dataset
from videogen.diffusion.tasks import marks
from videogen.eval.given import files_of, given_frames, given_latents
from videogen.eval.sampling import SampleConfig
from videogen.images import (
    Images,
    check_kind,
    check_mixed_images,
    check_same,
    check_shown,
    open_images,
)
from videogen.parallel import rules
from videogen.planning import make_plan
from videogen.text.base import TextEncoder
from videogen.tokenizers.base import Tokenizer
from videogen.tokenizers.mdct import Mdct

# Samples without prompts: of how many captions, out of how many clips looked at.
MAX_CAPTIONS = 8
MAX_LOOKED_AT = 64


@dataclasses.dataclass(frozen=True, kw_only=True)
class Feed:
    """Opened datasets, on a mesh. `dataset` is data.path's; train is of all of them."""

    settings: Settings
    mesh: Mesh
    dataset: Dataset
    tokenizer: Tokenizer
    train: tuple[Source, ...]
    plan: Plan | Packs
    conditioning: pipeline.Conditioning
    bad_records: BadRecords
    audio: Mdct | None  # None: video alone
    images: Images | None  # None: the network is told of none
    sharding_of_rank: Callable[[int], rules.NamedSharding]  # of a batch leaf

    @property
    def info(self) -> DatasetInfo:
        return self.dataset.info

    @property
    def text(self) -> TextInfo:
        """What encoded the captions."""
        return self.info.text[self.settings.data.text_version]

    @property
    def texts(self) -> dict[str, tuple[TextInfo, str]]:
        """Condition -> what encoded it, and the name of that encoder here."""
        data = self.settings.data
        versions = (("text", data.text_version, data.text_encoder), *data.more_text)
        return {name: (self.info.text[v], here) for name, v, here in versions}

    @functools.cached_property
    def largest(self) -> Bucket:
        """The bucket of the dataset whose clips are the largest: what samples are like."""
        own = (source.bucket for source in self.dataset.sources("train"))
        return max(own, key=lambda bucket: math.prod(bucket.latent_shape))

    @property
    def latent_shape(self) -> tuple[int, int, int, int]:
        """(F, H, W, C) of samples."""
        return self.largest.latent_shape

    @property
    def fps(self) -> float:
        """Frames per second of samples."""
        return self.dataset.manifests[self.largest.name].fps

    @property
    def num_samples(self) -> int:
        """Of the sound of a sample."""
        assert self.audio is not None
        manifest = self.dataset.manifests[self.largest.name]
        return self.audio.num_samples(manifest.num_frames / manifest.fps)

    @property
    def audio_per_frame(self) -> float:
        """Audio frames in the time of one latent frame. ConfigError if buckets differ."""
        assert self.audio is not None
        rates = {manifest.fps for manifest in self.dataset.manifests.values()}
        if len(rates) > 1:
            raise ConfigError(
                f"config.data.audio_version={self.settings.data.audio_version!r}: the "
                f"buckets of {self.dataset.directory} have frame rates of their own "
                f"({sorted(rates)}), and sound needs one"
            )
        return self.audio.frame_rate * self.tokenizer.strides[0] / self.fps

    @property
    def num_clips(self) -> int:
        """Training clips."""
        return sum(len(source) for source in self.train)

    @property
    def identity(self) -> dict[str, str]:
        """What a resumed run must find unchanged."""
        tokenizer = self.info.tokenizer
        audio = {} if self.audio is None else {"audio": self.audio.fingerprint[:16]}
        seen = {} if self.images is None else {"image": self.images.identity}
        encoders = {
            "text_encoder" if name == "text" else name: f"{x.name} {x.fingerprint[:16]}"
            for name, (x, _) in self.texts.items()
        }
        return {
            "tokenizer": f"{tokenizer.name} {tokenizer.fingerprint[:16]}",
            **encoders,
            "plan": self.plan.id,
            **audio,
            **seen,
        }

    def share(self, step: int) -> float:
        """The work of a step's batch, of a mean batch's after any ramp."""
        ramp = self.settings.data.batch_ramp
        if not ramp:
            return 1.0
        size = self.plan.batch_size(step - self.settings.stage.start)
        return size / self.settings.data.global_batch

    def describe_batch(self) -> str:
        """What a batch holds, for people."""
        config = self.settings.data
        if isinstance(self.plan, Packs):
            clips = sum(self.plan.mean_clips) / config.global_batch
            return (
                f"{config.global_batch} rows of {config.row_tokens} tokens, "
                f"{100 * self.plan.fill:.1f} % full, {clips:.1f} clips a row"
            )
        if len(self.plan.buckets) > 1 and config.batch_tokens:
            sizes = zip(self.plan.buckets, self.plan.sizes, strict=True)
            return ", ".join(f"{n} of {bucket.name}" for bucket, n in sizes)
        return f"{config.global_batch}"

    def train_batches(self, start: int, stop: int | None = None) -> Iterator[Batch]:
        """The batches of steps start, start + 1, ... (to stop - 1), on the devices."""
        config, first = self.settings.data, self.settings.stage.start
        options: dict[str, Any] = {
            "conditioning": self.conditioning,
            "rows": functools.partial(device.local_rows, self.sharding_of_rank),
            "start_step": start - first,
            "stop_step": None if stop is None else stop - first,
            "num_threads": config.num_threads,
            "budget": config.buffer_mib << 20,
            "read": self.bad_records.read,
        }
        if config.sample_posterior:
            options["draw"] = Posterior(seed=self.settings.data_seed)
        if isinstance(self.plan, Packs):
            options |= {"text_tokens": config.row_text_tokens}
            options |= {"patch": self.settings.model.patch}
            batches = packed_batches(self.train, self.plan, **options)
        else:
            batches = pipeline.make_batches(self.train, self.plan, **options)
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
            budget=self.settings.data.buffer_mib << 20,
            read=self.bad_records.read,
        )
        return device.prefetch_to_device(batches, self.sharding_of_rank)

    def check_decodes(self) -> None:
        """ConfigError when nothing here decodes what would be sampled."""
        latent = jax.ShapeDtypeStruct((1, *self.latent_shape), np.float32)
        jax.eval_shape(self.tokenizer.decode, latent)

    @functools.cached_property
    def captions(self) -> tuple[str, ...]:
        """What the samples are of: the config's prompts or labels, or our own captions."""
        config = self.settings.sample
        labels = tuple(f"class {label}" for label in config.labels)
        version = self.settings.data.text_version
        return config.prompts or labels or own_captions(self.dataset, version)

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
        if prompts not in self._embedded:
            self._embedded[prompts] = pipeline.text_arrays(
                {name: self.open_encoder(name).encode(prompts) for name in self.texts}
            )
        conditions = {
            **self._embedded[prompts],
            "label_B": np.asarray(labels or (-1,) * len(prompts), np.int32),
            "fps_B": np.full(len(prompts), self.fps, np.float32),
        }
        null = {
            **self.conditioning.null(),
            "label_B": np.asarray(-1, np.int32),
            "fps_B": np.asarray(self.fps, np.float32),
        }
        return conditions, null

    def given_conditions(self, sample: SampleConfig, count: int) -> dict[str, Array]:
        """What `count` samples are given of their videos, as the network takes it."""
        given = self._given(sample, count) if sample.given else {}
        check_shown(self.settings, sample, given)
        return given

    def _given(self, sample: SampleConfig, count: int) -> dict[str, Any]:
        frames_BTHWC, given_BF = given_frames(
            sample.task,
            files_of(sample.task, sample.given, count),
            strides=self.tokenizer.strides,
            size=self.latent_shape[:3],
            patch_frames=self.settings.model.patch[0],
            fps=self.fps,
        )
        z_BFHWC = given_latents(frames_BTHWC, self.tokenizer)
        given = self._in_place(z_BFHWC, jnp.asarray(given_BF))
        if self.images is not None and given_BF[:, 0].all():
            given["image_BLX"] = self.images.encode(frames_BTHWC[:, 0])
        return given

    def _in_place(self, z_BFHWC: Array, given_BF: Array) -> dict[str, Any]:
        """Given latents beside the noisy one, or clean in it."""
        settings = self.settings
        channels = getattr(settings.model, "given_channels", 0)
        if settings.gives == "clean":
            clean = {"clean_BFHWC": z_BFHWC, "given_BF": given_BF}
            if getattr(settings.model, "marks_given", False):
                clean["given_BFHWC"] = marks(given_BF, z_BFHWC, channels)
            return clean
        return {"given_BFHWC": settings.tasks.beside(z_BFHWC, given_BF, channels)}

    @functools.cached_property
    def validation(self) -> tuple[Source, ...]:
        """The dataset's held-out clips, of the shapes that have most. DataError: none."""
        config = self.settings.data
        sources = self.dataset.sources(
            "validation",
            text=config.text_version,
            audio=config.audio_version or None,
            more_text=config.more_versions,
            image=self.images and self.images.version,
        )
        most = sorted(sources, key=len)[-MOST_PROGRAMS:]
        return tuple(source for source in sources if source in most)

    @functools.cached_property
    def _embedded(self) -> dict[tuple[str, ...], dict[str, np.ndarray]]:
        """Texts and masks by prompts. The encoders would fill devices that train."""
        return {}

    def open_encoder(self, name: str = "text") -> TextEncoder:
        """The dataset's encoder of a text. ConfigError when the one here is another."""
        info, here = self.texts[name]
        encoder = text.make_encoder(here, info.length)
        check_same("text", info, encoder, self.dataset.directory)
        return encoder


def own_captions(dataset: Dataset, version: str) -> tuple[str, ...]:
    """Distinct captions of training clips far apart in the first bucket.

    Of a version of the texts, by default the newest.
    """
    known = dataset.info.captions
    version = version if version in known else known[-1]
    source = dataset.sources("train", captions=version)[0]
    rows = np.linspace(0, len(source) - 1, min(len(source), MAX_LOOKED_AT))
    captions = [source.caption(int(row)) or "" for row in rows]
    return tuple(dict.fromkeys(captions))[:MAX_CAPTIONS]


def open_feed(settings: Settings, mesh: Mesh) -> Feed:
    """The dataset of a config. DataError or ConfigError for what cannot be used."""
    config = settings.data
    dataset = open_dataset(Path(config.path))
    info = dataset.info
    check_kind("data.tokenizer", config.tokenizer, info.tokenizer.name, config.path)
    check_texts(config, info)
    check_more_text(config, info)
    check_same_captions(config, dataset)
    text_info = info.text[config.text_version]
    # The folder of its weights may be another here: their fingerprint is what counts.
    kind = config.text_encoder.partition(":")[0]
    check_kind("data.text_encoder", kind, text_info.name, config.path)
    audio_version = config.audio_version or None
    if audio_version and audio_version not in info.audio:
        raise ConfigError(
            f"config.data.audio_version={audio_version!r} is not in {config.path} (it has: "
            f"{', '.join(sorted(info.audio)) or 'none; encode it with --audio-rate'})"
        )
    images = open_images(settings, dataset)
    train = [
        each.sources(
            "train",
            text=config.text_versions,
            audio=audio_version,
            more_text=config.more_versions,
            image=images and images.version,
        )
        for each in (dataset, *open_mix(settings, dataset, images))
    ]
    if config.sample_posterior:
        check_posteriors([source for sources in train for source in sources])
    buckets = [[source.bucket for source in sources] for sources in train]
    return Feed(
        settings=settings,
        mesh=mesh,
        dataset=dataset,
        tokenizer=tokenizers.load(config.path, **vars(info.tokenizer)),
        train=tuple(source for sources in train for source in sources),
        plan=make_plan(settings, buckets),
        bad_records=BadRecords(
            sum(len(source) for sources in train for source in sources),
            config.max_bad_records,
        ),
        conditioning=pipeline.Conditioning.of(
            load_null_text(config.path, config.text_version, text_info.null_crc32),
            length=text_info.length,
            drop_rate=config.text_dropout,
            seed=settings.data_seed,
            shares=tuple(share for _, share in config.text_mix),
            more={
                name: pipeline.pad_text(
                    load_null_text(config.path, version, info.text[version].null_crc32),
                    info.text[version].length,
                )
                for name, version in config.more_versions.items()
            },
        ),
        audio=None if audio_version is None else open_audio(info.audio[audio_version]),
        images=images,
        sharding_of_rank=functools.partial(rules.batch_sharding, mesh),
    )


def open_mix(
    settings: Settings, first: Dataset, images: Images | None
) -> list[Dataset]:
    """The further datasets. ConfigError for one made unlike the first."""
    datasets = [open_dataset(Path(path)) for path, _ in settings.data.mix]
    for dataset in datasets:
        theirs, ours = dataset.info, first.info
        same = {
            "tokenizer": theirs.tokenizer.fingerprint == ours.tokenizer.fingerprint,
            "audio or frame rate": not settings.data.audio_version
            or sound_of(dataset, settings) == sound_of(first, settings),
        }
        for what, is_same in same.items():
            if not is_same:
                raise ConfigError(
                    f"config.data.mix: {dataset.directory} was made with another {what} "
                    f"than {first.directory}: encode it again with the same "
                    "(--tokenizer-from)"
                )
        check_mixed_texts(settings.data, dataset, first)
        check_mixed_images(images, dataset)
    return datasets


def sound_of(dataset: Dataset, settings: Settings) -> tuple[Any, ...]:
    """What the sound of datasets that train together must share."""
    info = dataset.info.audio.get(settings.data.audio_version)
    rates = {manifest.fps for manifest in dataset.manifests.values()}
    return info and (info.fingerprint, info.rate, info.channels), rates


def open_audio(info: AudioInfo) -> Mdct:
    """What made a dataset's audio latents."""
    return tokenizers.make_audio(**dataclasses.asdict(info))


def check_texts(config: DataConfig, info: DatasetInfo) -> None:
    """ConfigError when the dataset lacks a text version, or they cannot be mixed."""
    for field, version in zip(
        ("text_version", *("text_mix",) * len(config.text_mix)),
        config.text_versions,
        strict=True,
    ):
        where = f"config.data.{field}={getattr(config, field)!r}"
        if version not in info.text:
            raise ConfigError(
                f"{where}: {version!r} is not in {config.path} (it has: "
                f"{', '.join(sorted(info.text))})"
            )
        if not is_alike(info.text[version], info.text[config.text_version]):
            raise ConfigError(
                f"{where}: text {version} of {config.path} is of another encoder than "
                f"text {config.text_version}; versions of the same would work"
            )


def check_mixed_texts(config: DataConfig, other: Dataset, first: Dataset) -> None:
    """ConfigError when a text of the first dataset is not alike in another, or not there."""
    for version in (*config.text_versions, *config.more_versions.values()):
        text, wanted = other.info.text.get(version), first.info.text[version]
        if text is None or not is_alike(text, wanted):
            there = ", ".join(f"{v}: {facts(x)}" for v, x in other.info.text.items())
            raise ConfigError(
                f"config.data.mix: text {version} of {first.directory} is "
                f"{facts(wanted)}, but {other.directory} has {there or 'none'}: a "
                f"{version} of the same encoder and length (add-text) would work"
            )
    check_same_captions(config, other)


def is_alike(text: TextInfo, other: TextInfo) -> bool:
    """Whether both are of the same encoder and length: of the same null text."""
    return all(
        getattr(text, name) == getattr(other, name)
        for name in ("fingerprint", "length", "dim")
    )


def facts(text: TextInfo) -> str:
    """Of a text, for people."""
    return f"{text.name} {text.fingerprint[:8]} {text.length} x {text.dim}"


def check_more_text(config: DataConfig, info: DatasetInfo) -> None:
    """ConfigError when a further text of the dataset is not what the config says."""
    for name, version, encoder in config.more_text:
        field = f"data.more_text[{name}]"
        if version not in info.text:
            raise ConfigError(
                f"config.{field}={version!r} is not in {config.path} (it has: "
                f"{', '.join(sorted(info.text))})"
            )
        found = info.text[version]
        check_kind(field, encoder.partition(":")[0], found.name, config.path)
        if name == pipeline.POOLED and found.length != 1:
            raise ConfigError(
                f"config.{field}: {version} of {config.path} has texts of {found.length} "
                "tokens: one of one vector (clip_pooled, clip_projected) would work"
            )


def check_same_captions(config: DataConfig, dataset: Dataset) -> None:
    """ConfigError when a further text of a dataset is of other captions than the first."""
    for name, version in config.more_versions.items():
        captions_of = dataset.info.captions_of
        first, here = map(captions_of, (config.text_version, version))
        if first and here and first != here:
            raise ConfigError(
                f"config.data.more_text[{name}]: {version} of {dataset.directory} is of "
                f"the captions {here}, but {config.text_version} is of {first}: add-text "
                f"--captions={first} makes one that would work"
            )


def check_posteriors(sources: Sequence[Source]) -> None:
    """ConfigError when a source has no log variances, by its first clip."""
    for source in sources:
        if source[0].latent.logvar_FHWC is None:
            raise ConfigError(
                f"config.data.sample_posterior=True, but bucket {source.bucket.name} holds "
                "no log variances: encode it with --logvar, or set it to False"
            )
