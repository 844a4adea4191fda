"""A config's step as shapes: its work under each remat policy, and its state."""

import dataclasses
from collections.abc import Iterable
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import AbstractDevice, AbstractMesh

from videogen import flagship, trainer
from videogen.build import Settings
from videogen.core.types import Array, Batch, Params
from videogen.cost.analytic import work
from videogen.cost.analytic.estimate import Step
from videogen.cost.analytic.work import Work
from videogen.flagship import Shape
from videogen.ops.attention.api import AttentionPlan
from videogen.parallel.chips import Chip
from videogen.parallel.mesh import AXES
from videogen.planning import num_tokens_of
from videogen.train.state import TrainState


def trace_step(
    settings: Settings, shape: Shape, chip: Chip, policies: Iterable[str]
) -> Step:
    """The step as `estimate` takes it, traced once a policy; "dots" is always among them."""
    flops = settings.family.flops(settings.model, shape.latent_FHWC, shape.text_tokens)

    def works(fused: bool) -> dict[str, Work]:
        return {
            remat: trace(with_remat(settings, remat), shape, chip, fused)
            for remat in dict.fromkeys(("dots", *policies))
        }

    work = works(fused=True)
    return Step(
        global_batch=settings.data.global_batch,
        tokens=num_tokens_of(settings, shape.latent_FHWC),
        flops=3.0 * flops,
        work=work,
        cut_work=works(fused=False) if work["dots"].fused else {},
    )


def with_remat(settings: Settings, remat: str) -> Settings:
    """The same experiment under another policy."""
    model = dataclasses.replace(settings.model, remat=remat)
    return dataclasses.replace(settings, model=model)


def trace(settings: Settings, shape: Shape, chip: Chip, fused: bool = True) -> Work:
    """The loss and its gradients on one device, its kernels those of the chip.

    fused: with the kernels that only meshes run which cut nothing but the batch.
    """
    objective = make_objective(settings, chip)
    state = state_shapes(settings, chip)
    data = dataclasses.replace(settings.data, global_batch=work.CLIPS)
    # Of so many replicas: then activations say how they are cut.
    device = AbstractDevice(chip.device_kind, chip.cores_per_device, "tpu")
    mesh = AbstractMesh(
        (work.CLIPS, 1, 1, 1), AXES, abstract_device=device if fused else None
    )
    batch = flagship.batch(dataclasses.replace(settings, data=data), shape, mesh)

    def gradients(
        params: Params, frozen: Params, batch: Batch, step: Array
    ) -> tuple[Array, Params]:
        def loss_of(params: Params) -> Array:
            drawn = objective.draw(batch, step)
            return objective.loss({**frozen, **params}, batch, drawn)

        return jax.value_and_grad(loss_of)(params)

    plain = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), batch)
    step = jax.ShapeDtypeStruct((), jnp.int32)
    with jax.sharding.use_abstract_mesh(mesh):
        traced = jax.make_jaxpr(gradients)(state.params, state.frozen, plain, step)
    model = settings.model
    heads = model.num_heads, model.head_dim
    return work.read(traced.jaxpr, [heads, (model.mlp_width,)])


def make_objective(settings: Settings, chip: Chip) -> Any:
    """The training loss, on no mesh."""
    plan = AttentionPlan(implementation=settings.model.attention, chip=chip.name)
    network = trainer.make_network(settings, plan)
    return trainer.make_objective(settings, network, *flagship.constants(settings))


def state_shapes(settings: Settings, chip: Chip) -> TrainState:
    """The state, as shapes."""
    init = trainer.make_first_state(settings, make_objective(settings, chip))
    return jax.eval_shape(init, jax.random.key(0))
