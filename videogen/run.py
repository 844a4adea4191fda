"""Settings -> the parts of a run: mesh, network, data, optimiser, the jitted functions.

The doors and the session make their parts here and nowhere else. Shapes come first, then
shardings, arrays last: nothing is allocated before it is known where it lives.
"""

import dataclasses
import functools
import math
import re
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax.sharding import AbstractMesh, Mesh, NamedSharding, PartitionSpec

from videogen.build import Settings
from videogen.core import prng
from videogen.core.errors import ConfigError
from videogen.core.types import Array, Batch, Params, Parts
from videogen.data.pipeline import CONDITIONS, MORE_TEXT, more_name
from videogen.data.plan import Bucket
from videogen.diffusion.loss import Target
from videogen.diffusion.parts import each, video_of
from videogen.diffusion.sound import Sound
from videogen.eval import sampling, validation_loss
from videogen.eval.sampling import SampleConfig
from videogen.feed import Feed, open_feed
from videogen.nn import log_variance, lora
from videogen.nn.fence import Network
from videogen.ops.attention.api import AttentionPlan
from videogen.ops.attention.partition import factor_context
from videogen.parallel import multihost, rules
from videogen.parallel.mesh import divisors, make_mesh
from videogen.planning import num_tokens
from videogen.tokenizers.base import denormalise, normalise
from videogen.train import plateau
from videogen.train.optimizer import make_optimizer
from videogen.train.packed import PackedObjective
from videogen.train.state import TrainState, make_init
from videogen.train.step import Objective, make_train_step

StepFn = Callable[[TrainState, Batch], tuple[TrainState, dict[str, Array]]]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Run:
    """Everything a door needs, nothing allocated but what the data needs."""

    settings: Settings
    mesh: Mesh
    network: Network
    feed: Feed
    abstract: TrainState  # ShapeDtypeStructs with their shardings
    init: Callable[[], TrainState]
    step: StepFn  # donates the state
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

    def _mean(self, cost: Callable[[Bucket], float]) -> float:
        plan = self.feed.plan
        clips = zip(plan.buckets, plan.mean_clips, strict=True)
        return sum(count * cost(bucket) for bucket, count in clips)


def make(settings: Settings) -> Run:
    """The parts of a run. ConfigError or DataError for what does not fit together."""
    mesh = make_mesh(settings.mesh)
    feed = open_feed(settings, mesh)
    check_fits(settings, feed, mesh)
    plan = AttentionPlan(
        implementation=settings.model.attention,
        mesh=mesh,
        ulysses=settings.mesh.ulysses,
        ring=settings.mesh.ring,
    )
    network = Network.of(settings.family.make(settings.model, plan))
    network = lora.with_adapters(network, settings.lora)
    check_trained(settings, network)
    optimizer = make_optimizer(settings.optimizer, settings.stage.start)
    objective = make_objective(settings, network, feed)
    new_plateau = functools.partial(plateau.new_state, settings.plateau)
    init_params = make_init_params(objective)
    init = make_init(init_params, optimizer, settings.trains, new_plateau)
    abstract = abstract_state(init, settings, mesh)
    shardings = jax.tree.map(lambda leaf: leaf.sharding, abstract)
    replicated = NamedSharding(mesh, PartitionSpec())
    on_mesh = functools.partial(under, mesh)
    return Run(
        settings=settings,
        mesh=mesh,
        network=network,
        feed=feed,
        abstract=abstract,
        loss=on_mesh(jax.jit(objective, out_shardings=replicated)),
        init=on_mesh(
            lambda: jax.jit(init, out_shardings=shardings)(
                prng.key(settings.seed, 0, "init")
            )
        ),
        step=on_mesh(
            jax.jit(
                make_train_step(
                    objective, optimizer, settings.optimizer, settings.stage.start
                ),
                out_shardings=(shardings, replicated),
                donate_argnums=0,
            )
        ),
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


def under(mesh: Mesh, function: Callable[..., Any]) -> Callable[..., Any]:
    """`function` with `mesh` ambient, which is how `constrain` finds it."""

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        with jax.set_mesh(mesh):
            return function(*args, **kwargs)

    return call


def abstract_state(
    init: Callable[[Array], TrainState], settings: Settings, mesh: Mesh
) -> TrainState:
    """The state's shapes, dtypes and shardings, by the family's table."""
    shapes = jax.eval_shape(init, jax.random.key(0))
    table = lora.adapter_rules(settings.family.sharding, tuple(shapes.params))
    if settings.objective.learn_log_variance:
        table = ((re.escape(log_variance.PREFIX), (None, None)), *table)
    if settings.optimizer.name == "muon":
        table = ((r"\.ns_coeffs$", (None,)), *table)
    shardings = rules.tree_shardings(shapes, table, mesh)
    return jax.tree.map(
        lambda leaf, sharding: jax.ShapeDtypeStruct(
            leaf.shape, leaf.dtype, sharding=sharding
        ),
        shapes,
        shardings,
    )


def make_objective(
    settings: Settings, network: Network, feed: Feed
) -> Objective | PackedObjective:
    """The training loss, with the dataset's normalisation."""
    tokenizer = feed.tokenizer
    common: dict[str, Any] = {
        "network": network,
        "time": settings.time,
        "normalise": functools.partial(
            normalise, mean_C=tokenizer.mean_C, std_C=tokenizer.std_C
        ),
        "seed": settings.seed,
        "target": Target(settings.objective),
        "patch": settings.model.patch,
    }
    if settings.data.row_tokens:
        return PackedObjective(**common, channels=feed.latent_shape[-1])
    return Objective(
        **common,
        tasks=settings.tasks,
        given_channels=getattr(settings.model, "given_channels", 0),
        log_variance=Network.of(lambda rngs: log_variance.LogVariance(rngs=rngs))
        if settings.objective.learn_log_variance
        else None,
        sound=make_sound(settings, feed),
    )


def make_sound(settings: Settings, feed: Feed) -> Sound | None:
    """How the dataset's sound is learnt; None: there is none, or it is not asked for."""
    if feed.audio is None:
        return None
    constants = {"mean_C": feed.audio.mean_C, "std_C": feed.audio.std_C}
    return Sound(
        normalise=functools.partial(normalise, **constants),
        weight=settings.objective.audio_weight,
    )


def make_init_params(
    objective: Objective | PackedObjective,
) -> Callable[[Array], Params]:
    """key -> the parameters of the network and, if it has one, of the loss."""
    if objective.log_variance is None:
        return objective.network.init
    return functools.partial(
        log_variance.init_beside, objective.network, objective.log_variance
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
    check_conditions(settings)
    num_classes = getattr(model, "num_classes", 0)
    for label in settings.sample.labels:
        if not -1 <= label < num_classes:
            raise ConfigError(
                f"config.sample.labels has {label}, but the model has {num_classes} "
                "classes, numbered from 0 (-1: none)"
            )
    parts = settings.optimizer.microbatches
    shards = mesh.shape["replica"] * mesh.shape["fsdp"] * parts
    sizes = {"global_batch": data.global_batch}
    sizes |= {f"batch_ramp[{i}]": size for i, (_, size) in enumerate(data.batch_ramp)}
    for field, size in sizes.items():
        if size % shards:
            raise ConfigError(
                f"config.data.{field}={size} does not divide over replica x fsdp"
                f"{' x optimizer.microbatches' if parts > 1 else ''} = {shards}; a "
                f"multiple of {shards} would work"
            )
    check_heads(settings, mesh)
    check_objective(settings)
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


def check_conditions(settings: Settings) -> None:
    """ConfigError when the network must be told what no dataset holds."""
    held = (*CONDITIONS, *(more_name(name) for name, _, _ in settings.data.more_text))
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


def check_trained(settings: Settings, network: Network) -> None:
    """ConfigError for a pattern of what to train that finds nothing."""
    for pattern in settings.optimizer.train_only:
        if not any(re.search(pattern, path) for path in network.abstract()):
            raise ConfigError(
                f"config.optimizer.train_only: {pattern!r} finds none of the parameters"
            )


def check_heads(settings: Settings, mesh: Mesh | AbstractMesh) -> None:
    """ConfigError when attention heads cannot be cut over the mesh as the config says."""
    heads, tensor = settings.model.num_heads, mesh.shape["tensor"]
    if heads % tensor:
        raise ConfigError(
            f"config.mesh.tensor={tensor} does not divide config.model.num_heads={heads}; "
            f"one of {divisors(heads)} would work"
        )
    config, context = settings.mesh, mesh.shape["context"]
    try:
        factor_context(heads // tensor, context, config.ulysses, config.ring)
    except ConfigError as error:
        raise ConfigError(f"config.mesh: {error}") from None


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
    if getattr(settings.model, "clean_first_frame", False):
        raise ConfigError(
            "config.model.clean_first_frame=True cannot be trained yet: nothing puts the clean "
            "frame into the latent; False would work, or config.model.given_channels"
        )
    if settings.tasks.gives:
        check_gives(settings, settings.tasks.how, "tasks.how")
    check_given(settings, settings.sample)
    if settings.sample.method == "heun" and settings.objective.predict == "data":
        raise ConfigError(
            "config.sample.method='heun' needs a velocity at t=0, which config.objective."
            "predict='data' does not give; 'euler' would work"
        )


def check_given(settings: Settings, sample: SampleConfig) -> None:
    """ConfigError when the network cannot be given frames as the samples' task says."""
    if sample.given:
        check_gives(settings, settings.gives, "sample.task", sample.task)


def check_gives(settings: Settings, how: str, field: str, value: str = "") -> None:
    """ConfigError when the network cannot be given frames in that way."""
    channels = getattr(settings.model, "given_channels", 0)
    least = settings.model.latent_channels
    if how == "clean" and not settings.family.token_times:
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
