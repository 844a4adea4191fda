"""What trains: Settings and a mesh -> network, loss, first state, jitted step.

No data is read and no array is made, so the step that a run takes is also the one that
`videogen aot` compiles for TPUs that are not there.
"""

import dataclasses
import functools
import re
from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

import jax
import numpy as np
from jax.sharding import AbstractMesh, Mesh, NamedSharding, PartitionSpec

from videogen.build import Settings
from videogen.core import prng
from videogen.core.errors import ConfigError
from videogen.core.types import Array, Batch, Params
from videogen.diffusion.loss import Target
from videogen.diffusion.sound import Sound
from videogen.nn import log_variance, lora
from videogen.nn.fence import Network
from videogen.ops.attention.api import AttentionPlan
from videogen.ops.attention.partition import factor_context
from videogen.parallel import compiler, rules
from videogen.parallel.host_memory import check_host_memory
from videogen.parallel.mesh import divisors
from videogen.tokenizers.base import normalise
from videogen.train import plateau
from videogen.train.optimizer import make_optimizer
from videogen.train.packed import PackedObjective
from videogen.train.state import TrainState, make_init, offloaded
from videogen.train.step import Objective, make_train_step

StepFn = Callable[[TrainState, Batch], tuple[TrainState, dict[str, Array]]]


@runtime_checkable
class Constants(Protocol):
    """What brings stored latents to zero mean, unit variance; a tokenizer has them."""

    @property
    def mean_C(self) -> np.ndarray: ...
    @property
    def std_C(self) -> np.ndarray: ...


@dataclasses.dataclass(frozen=True, kw_only=True)
class Trainer:
    """One training step of an experiment on a mesh."""

    mesh: Mesh
    network: Network
    objective: Objective | PackedObjective
    abstract: TrainState  # ShapeDtypeStructs with their shardings
    make_state: Callable[[Array], TrainState]  # of a key, pure
    step: Any  # jitted StepFn, which donates the state; call it `under` the mesh

    @property
    def shardings(self) -> TrainState:
        """Where each leaf of the state lives."""
        return jax.tree.map(lambda leaf: leaf.sharding, self.abstract)

    def init(self) -> TrainState:
        """The state at step 0, on the devices."""
        init = jax.jit(self.make_state, out_shardings=self.shardings)
        return under(self.mesh, init)(prng.key(self.objective.seed, 0, "init"))


def make(
    settings: Settings, mesh: Mesh, tokenizer: Constants, audio: Constants | None = None
) -> Trainer:
    """The parts of a step. ConfigError for what does not fit together.

    mesh: of devices, which need not be there.
    tokenizer, audio: the constants of the latents, and of those of sound.
    """
    plan = AttentionPlan(
        implementation=settings.model.attention,
        mesh=mesh,
        ulysses=settings.mesh.ulysses,
        ring=settings.mesh.ring,
    )
    network = make_network(settings, plan)
    check_memory(settings, mesh)
    optimizer = make_optimizer(settings.optimizer, settings.stage.start)
    objective = make_objective(settings, network, tokenizer, audio)
    init = make_first_state(settings, objective)
    abstract = place(jax.eval_shape(init, jax.random.key(0)), settings, mesh)
    shardings = jax.tree.map(lambda leaf: leaf.sharding, abstract)
    network = network.keeping(
        {path: leaf.sharding.spec for path, leaf in abstract.weights.items()},
        wide=settings.optimizer.reduce_dtype == "float32",
        product_dtype=settings.optimizer.product_dtype,
    )
    objective = dataclasses.replace(objective, network=network)
    step = make_train_step(
        objective, optimizer, settings.optimizer, settings.stage.start
    )
    replicated = NamedSharding(mesh, PartitionSpec())
    return Trainer(
        mesh=mesh,
        network=network,
        objective=objective,
        abstract=abstract,
        make_state=init,
        step=jax.jit(
            step,
            out_shardings=(shardings, replicated),
            donate_argnums=0,
            compiler_options=compiler.options(
                settings.mesh.xla, mesh.devices.flat[0].platform
            ),
        ),
    )


def under(mesh: Mesh, function: Callable[..., Any]) -> Callable[..., Any]:
    """`function` with `mesh` ambient, which is how `constrain` finds it."""

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        with jax.set_mesh(mesh):
            return function(*args, **kwargs)

    return call


def make_network(settings: Settings, plan: AttentionPlan) -> Network:
    """With adapters, if there are any. ConfigError if nothing of it would train."""
    network = Network.of(settings.family.make(settings.model, plan))
    network = lora.with_adapters(network, settings.lora)
    check_trained(settings, network)
    return network


def make_first_state(
    settings: Settings, objective: Objective | PackedObjective
) -> Callable[[Array], TrainState]:
    """key -> the state at step 0, pure."""
    return make_init(
        make_init_params(objective),
        make_optimizer(settings.optimizer, settings.stage.start),
        settings.trains,
        functools.partial(plateau.new_state, settings.plateau),
    )


def place(
    shapes: TrainState, settings: Settings, mesh: Mesh | AbstractMesh
) -> TrainState:
    """The state's shapes, dtypes and shardings, by the family's table."""
    table = lora.adapter_rules(settings.family.sharding, tuple(shapes.params))
    if settings.objective.learn_log_variance:
        table = ((re.escape(log_variance.PREFIX), (None, None)), *table)
    if settings.optimizer.name == "muon":
        table = ((r"\.ns_coeffs$", (None,)), *table)
    shardings = rules.tree_shardings(shapes, table, mesh)
    state = jax.tree.map(
        lambda leaf, sharding: jax.ShapeDtypeStruct(
            leaf.shape, leaf.dtype, sharding=sharding
        ),
        shapes,
        shardings,
    )
    if not settings.optimizer.offload:
        return state
    return offloaded(state, rules.stacked(shapes, table))


def make_init_params(
    objective: Objective | PackedObjective,
) -> Callable[[Array], Params]:
    """key -> the parameters of the network and, if it has one, of the loss."""
    if objective.log_variance is None:
        return objective.network.init
    return functools.partial(
        log_variance.init_beside, objective.network, objective.log_variance
    )


def make_sound(settings: Settings, audio: Constants | None) -> Sound | None:
    """How the dataset's sound is learnt; None: there is none, or it is not asked for."""
    if audio is None:
        return None
    constants = {"mean_C": audio.mean_C, "std_C": audio.std_C}
    return Sound(
        normalise=functools.partial(normalise, **constants),
        weight=settings.objective.audio_weight,
    )


def make_objective(
    settings: Settings,
    network: Network,
    tokenizer: Constants,
    audio: Constants | None = None,
) -> Objective | PackedObjective:
    """The training loss, with the dataset's normalisation."""
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
        return PackedObjective(**common, channels=settings.model.latent_channels)
    return Objective(
        **common,
        tasks=settings.tasks,
        given_channels=getattr(settings.model, "given_channels", 0),
        marks_given=getattr(settings.model, "marks_given", False),
        always_image="image_BLX" in settings.model.needs,
        log_variance=Network.of(lambda rngs: log_variance.LogVariance(rngs=rngs))
        if settings.objective.learn_log_variance
        else None,
        sound=make_sound(settings, audio),
    )


def check_trained(settings: Settings, network: Network) -> None:
    """ConfigError for a pattern of what to train that finds nothing."""
    for pattern in settings.optimizer.train_only:
        if not any(re.search(pattern, path) for path in network.abstract()):
            raise ConfigError(
                f"config.optimizer.train_only: {pattern!r} finds none of the parameters"
            )


def check_memory(settings: Settings, mesh: Mesh) -> None:
    """ConfigError when the hosts' memory is asked for and cannot be had."""
    device, remat = mesh.devices.flat[0], settings.model.remat
    if "offload" in remat.split(","):
        check_host_memory(device, f"model.remat={remat}")
    if settings.optimizer.offload:
        check_host_memory(device, "optimizer.offload=True")


def check_mesh(settings: Settings, mesh: Mesh | AbstractMesh) -> None:
    """ConfigError when the batch or the heads cannot be cut over the mesh."""
    data = settings.data
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
