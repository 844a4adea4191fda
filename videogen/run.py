"""Settings -> the parts of a run: mesh, network, data, optimiser, the jitted functions.

The doors and the session make their parts here and nowhere else. Shapes come first, then
shardings, arrays last: nothing is allocated before it is known where it lives.
"""

import dataclasses
import functools
import math
from collections.abc import Callable

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from videogen import trainer as trainers
from videogen.build import Settings
from videogen.core.errors import ConfigError
from videogen.core.types import Array, Batch, Params, Parts
from videogen.data.pipeline import CONDITIONS, MORE_TEXT, more_name
from videogen.data.plan import Bucket
from videogen.diffusion.loss import Target
from videogen.diffusion.parts import each, video_of
from videogen.eval import sampling, validation_loss
from videogen.eval.sampling import SampleConfig
from videogen.feed import Feed, open_feed
from videogen.nn.fence import Network
from videogen.parallel import multihost
from videogen.parallel.chips import chip_of_kind
from videogen.parallel.mesh import make_mesh
from videogen.planning import num_tokens
from videogen.tokenizers.base import denormalise
from videogen.train import plateau
from videogen.train.state import TrainState


@dataclasses.dataclass(frozen=True, kw_only=True)
class Run:
    """Everything a door needs, nothing allocated but what the data needs."""

    settings: Settings
    mesh: Mesh
    network: Network
    feed: Feed
    abstract: TrainState  # ShapeDtypeStructs with their shardings
    init: Callable[[], TrainState]
    step: trainers.StepFn  # donates the state
    observe: Callable[
        ..., dict[str, Array]
    ]  # (plateau, step, validation loss) -> plateau
    loss: Callable[[Params, Batch, Array], Array]  # the training loss alone
    batch_loss: Callable[[Params, Batch], tuple[Array, Array]]
    sample_fn: sampling.SampleFn

    @property
    def shardings(self) -> TrainState:
        """Where each leaf of the state lives."""
        return jax.tree.map(lambda leaf: leaf.sharding, self.abstract)

    @property
    def num_params(self) -> int:
        """Numbers in the network."""
        return sum(leaf.size for leaf in self.abstract.weights.values())

    @property
    def tokens_per_clip(self) -> int:
        """Video tokens of one clip as samples have them, after patching."""
        return num_tokens(self.settings, self.feed.largest)

    @property
    def tokens_per_step(self) -> float:
        """Video tokens of a mean step's clips."""
        return self._mean(lambda bucket: num_tokens(self.settings, bucket))

    @property
    def flops_per_step(self) -> float:
        """Matrix products of a mean step: 3 x forward (1 forward, 2 backward), no remat."""
        settings, flops = self.settings, self.settings.family.flops
        text_length = sum(info.length for info, _ in self.feed.texts.values())
        return 3 * self._mean(
            lambda bucket: flops(settings.model, bucket.latent_shape, text_length)
        )

    @property
    def peak_flops(self) -> float:
        """bf16 FLOP/s of the mesh's devices, as published; 0 if they are not known."""
        chip = chip_of_kind(self.mesh.devices.flat[0].device_kind)
        return chip.peak_flops * self.mesh.size if chip else 0.0

    @property
    def state_bytes(self) -> int:
        """Of one device: parameters, moments and averages."""
        return sum(
            math.prod(leaf.sharding.shard_shape(leaf.shape)) * leaf.dtype.itemsize
            for leaf in jax.tree.leaves(self.abstract)
        )

    def _mean(self, cost: Callable[[Bucket], float]) -> float:
        plan = self.feed.plan
        clips = zip(plan.buckets, plan.mean_clips, strict=True)
        return sum(count * cost(bucket) for bucket, count in clips)


def make(settings: Settings) -> Run:
    """The parts of a run. ConfigError or DataError for what does not fit together."""
    mesh = make_mesh(settings.mesh)
    feed = open_feed(settings, mesh)
    check_fits(settings, feed, mesh)
    trainer = trainers.make(settings, mesh, feed.tokenizer, feed.audio)
    network, objective = trainer.network, trainer.objective
    replicated = NamedSharding(mesh, PartitionSpec())
    on_mesh = functools.partial(trainers.under, mesh)
    return Run(
        settings=settings,
        mesh=mesh,
        network=network,
        feed=feed,
        abstract=trainer.abstract,
        loss=on_mesh(jax.jit(objective, out_shardings=replicated)),
        init=trainer.init,
        step=on_mesh(trainer.step),
        observe=jax.jit(
            functools.partial(
                plateau.observe, settings.plateau, settings.optimizer.learning_rate
            ),
            out_shardings=replicated,
        ),
        batch_loss=on_mesh(
            jax.jit(
                validation_loss.make_batch_loss(
                    *(network, objective.normalise, settings.validation),
                    *(objective.target, objective.sound),
                    settings.model.patch if clean_first(settings) else None,
                    objective.held_out,
                ),
                out_shardings=replicated,
            )
        ),
        sample_fn=on_mesh(
            jax.jit(
                make_sample_fn(settings, network, feed, objective.target),
                out_shardings=replicated,
            )
        ),
    )


def make_sample_fn(
    settings: Settings, network: Network, feed: Feed, target: Target
) -> sampling.SampleFn:
    """Prompts' conditions -> frames and perhaps sound, through the dataset's tokenizers."""

    tokenizer, audio = feed.tokenizer, feed.audio

    def decode(z: Parts) -> Parts:
        latent_BFHWC = denormalise(video_of(z), tokenizer.mean_C, tokenizer.std_C)
        pixels = tokenizer.decode(latent_BFHWC)
        if audio is None:
            return pixels
        audio_BAC = denormalise(z["audio"], audio.mean_C, audio.std_C)
        sound_BS = audio.decode(audio_BAC)[:, : feed.num_samples]
        return {"video": pixels, "audio": sound_BS}

    shape = feed.latent_shape
    if audio is not None:
        audio_shape = audio.num_frames(feed.num_samples), audio.channels
        shape = {"video": shape, "audio": audio_shape}
    return sampling.make_sample_fn(
        *(network, settings.sample, shape, decode), target, settings.model.patch
    )


def check_fits(settings: Settings, feed: Feed, mesh: Mesh) -> None:
    """ConfigError when the model, the dataset and the mesh do not fit together."""
    model, data = settings.model, settings.data
    channels, text = feed.latent_shape[-1], feed.text
    if model.latent_channels != channels:
        raise ConfigError(
            f"config.model.latent_channels={model.latent_channels}, but the latents of "
            f"{data.path} have {channels}"
        )
    dims = {"text": ("text_dim", getattr(model, "text_dim", text.dim))}
    dims |= {x: ("more_text_dims", dim) for x, dim in getattr(model, "more_texts", ())}
    if pooled := getattr(model, "pooled_dim", 0):
        dims["pooled"] = "pooled_dim", pooled
    for name, (found, _) in feed.texts.items():
        field, dim = dims.get(name, ("", found.dim))
        if dim != found.dim:
            raise ConfigError(
                f"config.model.{field}={getattr(model, field)}, but {name} of {data.path} "
                f"({found.name}) has dim {found.dim}"
            )
    check_conditions(settings, ("image_BLX",) if feed.images else ())
    check_first_frames(settings)
    num_classes = getattr(model, "num_classes", 0)
    for label in settings.sample.labels:
        if not -1 <= label < num_classes:
            raise ConfigError(
                f"config.sample.labels has {label}, but the model has {num_classes} "
                "classes, numbered from 0 (-1: none)"
            )
    trainers.check_mesh(settings, mesh)
    check_objective(settings)
    check_clean_first(settings, feed)
    check_sound(settings, feed)


def check_sound(settings: Settings, feed: Feed) -> None:
    """ConfigError when the network cannot take the dataset's sound as it is."""
    if feed.audio is None:
        return
    model, version = settings.model, settings.data.audio_version
    channels = getattr(model, "audio_channels", 0)
    if not channels:
        raise ConfigError(
            f"config.data.audio_version={version!r} needs a network of sound, and "
            f"config.model.family={settings.family_name!r} has none; 'sound' would work"
        )
    wanted = {"audio_channels": feed.audio.channels}
    wanted |= {"audio_per_frame": feed.audio_per_frame}
    for field, value in wanted.items():
        if not math.isclose(getattr(model, field), value, rel_tol=1e-3):
            raise ConfigError(
                f"config.model.{field}={getattr(model, field)}, but the audio of "
                f"{settings.data.path} has {value:.6g}"
            )
    if settings.time.by_frame:
        raise ConfigError(
            f"config.time.chunk_frames={settings.time.chunk_frames} and clean_frames="
            f"{settings.time.clean_frames} give frames times of their own, and sound has "
            "that of its clip; leave both 0"
        )


def check_conditions(settings: Settings, more: tuple[str, ...] = ()) -> None:
    """ConfigError when the network must be told what no dataset holds, but for `more`."""
    held = (
        *CONDITIONS,
        *more,
        *(more_name(name) for name, _, _ in settings.data.more_text),
    )
    missing = {
        name: without
        for name, without in settings.model.needs.items()
        if name not in held
    }
    if missing:
        fields = [f"--config.{without}" for without in missing.values() if without]
        texts = all(x in map(more_name, MORE_TEXT) for x in missing)
        fix = " ".join(fields) if len(fields) == len(missing) else "another model"
        fix += ", or --config.data.more_text," if texts else ""
        raise ConfigError(
            f"config.model of family {settings.family_name!r} needs {', '.join(missing)}, "
            f"and {settings.data.path} holds {', '.join(held)} alone; {fix} would "
            "work"
        )


def check_first_frames(settings: Settings) -> None:
    """ConfigError when a network that must be told an image is not given its frame."""
    tasks = settings.tasks
    if "image_BLX" in settings.model.needs and tasks.t2v + tasks.backward:
        raise ConfigError(
            f"config.model.image_dim={settings.model.image_dim} is always told of the first "
            f"frame, and config.tasks.t2v={tasks.t2v} and backward={tasks.backward} do not "
            "give it: config.tasks={'t2v': 0.0, 'i2v': 1.0} would work, or image_dim=0"
        )


def check_objective(settings: Settings) -> None:
    """ConfigError when the objective, its times and the sampler do not fit together."""
    if settings.time.by_frame and not settings.family.token_times:
        raise ConfigError(
            f"config.time.chunk_frames={settings.time.chunk_frames} and clean_frames="
            f"{settings.time.clean_frames} give frames times of their own, and "
            f"config.model.family={settings.family_name!r} takes one per clip; leave both 0"
        )
    clean = settings.tasks.gives and settings.tasks.how == "clean"
    if settings.time.by_frame or clean:
        what = "config.tasks.how='clean'" if clean else "config.time.clean_frames"
        for field, is_asked in {
            "objective.learn_log_variance=True": settings.objective.learn_log_variance,
            f"time.within={settings.time.within}": settings.time.within != (0.0, 1.0),
        }.items():
            if is_asked:
                raise ConfigError(
                    f"config.{field} is of one time per clip, and {what} (or chunk_frames) "
                    "gives frames times of their own: leave one out"
                )
    if settings.tasks.gives:
        check_gives(settings, settings.tasks.how, "tasks.how")
    check_given(settings, settings.sample)
    if settings.sample.method == "heun" and settings.objective.predict == "data":
        raise ConfigError(
            "config.sample.method='heun' needs a velocity at t=0, which config.objective."
            "predict='data' does not give; 'euler' would work"
        )


def clean_first(settings: Settings) -> bool:
    """Whether the network takes the first frame for clean, always."""
    return getattr(settings.model, "clean_first_frame", False)


def check_clean_first(settings: Settings, feed: Feed) -> None:
    """ConfigError unless such a network is trained to go on from a clean frame, no more."""
    if not clean_first(settings):
        return
    tasks = settings.tasks
    others = sum(tasks.weights) - tasks.i2v
    if others or tasks.how != "clean" or settings.time.by_frame:
        raise ConfigError(
            "config.model.clean_first_frame=True takes the first frame for clean: "
            "config.tasks={'t2v': 0.0, 'i2v': 1.0, 'how': 'clean'}, without config.time."
            "chunk_frames and clean_frames, would work"
        )
    for bucket in feed.plan.buckets:
        if bucket.latent_shape[0] <= settings.model.patch[0]:
            raise ConfigError(
                f"config.model.clean_first_frame=True is given the first frame of every clip, "
                f"and bucket {bucket.name} holds images; leave them out"
            )


def check_given(settings: Settings, sample: SampleConfig) -> None:
    """ConfigError when the network cannot be given frames as the samples' task says."""
    if sample.given:
        check_gives(settings, settings.gives, "sample.task", sample.task)


def check_gives(settings: Settings, how: str, field: str, value: str = "") -> None:
    """ConfigError when the network cannot be given frames in that way."""
    channels = getattr(settings.model, "given_channels", 0)
    least = settings.model.latent_channels
    if how == "clean" and not settings.family.token_times and not clean_first(settings):
        raise ConfigError(
            f"config.{field}={value or how!r} gives frames a time of their own, and "
            f"config.model.family={settings.family_name!r} takes one per clip"
        )
    if how == "channels" and channels < least:
        clean = "; config.tasks.how='clean' would work" * settings.family.token_times
        raise ConfigError(
            f"config.{field}={value or how!r} needs config.model.given_channels of at least "
            f"latent_channels={least}, those above being the mask; it is {channels}{clean}"
        )


def pad_rows(array: np.ndarray, multiple: int) -> np.ndarray:
    """Repeats the last row until the batch divides over the mesh."""
    missing = -len(array) % multiple
    return np.concatenate([array, np.repeat(array[-1:], missing, axis=0)])


def sample_conditions(
    run: Run, prompts: tuple[str, ...] | None = None, config: SampleConfig | None = None
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """(conditions (B, ...), null conditions (B, ...)) of samples, on the host.

    ConfigError or DataError when an encoder or a given file is not there or does not fit.
    """
    config = config or run.settings.sample
    run.feed.check_decodes()
    check_given(run.settings, config)
    conditions, null = run.feed.prompt_conditions(prompts)
    null = {x: np.broadcast_to(null[x], conditions[x].shape) for x in null}
    count = len(next(iter(conditions.values())))
    given = jax.device_get(run.feed.given_conditions(config, count))
    return conditions | given, null | given


def sample(
    run: Run,
    params: Params,
    prompts: tuple[str, ...] | None = None,
    config: SampleConfig | None = None,
    low: Params | None = None,
) -> list[sampling.Sample]:
    """Samples of `prompts` (default: the config's), on every process.

    config: what frames they are given (default: the run's).
    low: the parameters of the expert below config.sample.boundary.
    """
    shards = run.mesh.shape["replica"] * run.mesh.shape["fsdp"]
    told = sample_conditions(run, prompts, config)
    count = len(next(iter(told[0].values())))
    padded = [{x: pad_rows(part[x], shards) for x in part} for part in told]
    seeds = pad_rows(np.arange(count, dtype=np.uint32), shards)
    made = each(multihost.to_host, run.sample_fn(params, seeds, *padded, low))
    sounds = made["audio"] if isinstance(made, dict) else [None] * count
    return [
        sampling.Sample(frames_THWC=video_of(made)[i], sound_S=sounds[i])
        for i in range(count)
    ]
