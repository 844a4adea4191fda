"""Which layouts a config could run in on a slice: those that training itself would accept."""

import dataclasses
import itertools
import math
from collections.abc import Collection, Iterable, Iterator
from typing import Any

from jax.sharding import AbstractMesh

from videogen import trainer
from videogen.build import Settings
from videogen.core.errors import ConfigError
from videogen.cost.analytic.layout import Layout
from videogen.nn.stack import REMAT
from videogen.ops.attention.partition import factor_context
from videogen.parallel.mesh import AXES, divisors

OFFLOAD = "offload"  # how long copies to the hosts take is not estimated
ESTIMATED = {"offload": False, "reduce_dtype": "compute", "product_dtype": "compute"}
EXAMPLES = {"mesh": "context=4", "model": "remat=full", "optimizer": "microbatches=2"}
POLICIES = (*(name for name in REMAT if name != OFFLOAD), "attention,full")


def policies(settings: Settings, pinned: Collection[str]) -> tuple[str, ...]:
    """The remat policies to look at: all that are estimated, or the one asked for.

    ConfigError for one that is not, and for what else is not estimated.
    """
    for field, estimated in ESTIMATED.items():
        value = getattr(settings.optimizer, field)
        if value != estimated:
            raise ConfigError(
                f"config.optimizer.{field}={value} is not estimated; `videogen aot` compiles "
                f"it, or {estimated} would work"
            )
    if "model.remat" not in pinned:
        return POLICIES
    if OFFLOAD in settings.model.remat.split(","):
        raise ConfigError(
            f"config.model.remat={settings.model.remat}: copies to the hosts are not "
            "estimated; `videogen aot` compiles it, or another policy would work"
        )
    return (settings.model.remat,)


def pinned_by(overrides: Iterable[str]) -> set[str]:
    """The fields that were given. ConfigError for a whole section: which of it stays?"""
    fields = {text.partition("=")[0] for text in overrides}
    for section in sorted(fields & set(EXAMPLES)):
        raise ConfigError(
            f"--config.{section}=...: give its fields one by one, as "
            f"--config.{section}.{EXAMPLES[section]}"
        )
    return fields


def meshes(
    settings: Settings, num_devices: int, pinned: Collection[str]
) -> Iterator[dict[str, int]]:
    """Sizes of mesh axes whose product it is. pinned: fields that are not to be changed."""
    fixed = fixed_axes(settings, pinned)
    options = [
        [fixed[axis]] if axis in fixed else divisors(num_devices) for axis in AXES[:-1]
    ]
    for sizes in itertools.product(*options):
        rest, left = divmod(num_devices, sizes[0] * sizes[1] * sizes[2])
        if rest and not left and fixed.get("tensor", rest) == rest:
            yield dict(zip(AXES, (*sizes, rest), strict=True))


def fixed_axes(settings: Settings, pinned: Collection[str]) -> dict[str, int]:
    """Sizes of the axes that were given."""
    return {
        axis: size
        for axis in AXES
        if f"mesh.{axis}" in pinned and (size := getattr(settings.mesh, axis)) != -1
    }


def check_pinned(
    settings: Settings, num_devices: int, slices: int, pinned: Collection[str]
) -> None:
    """ConfigError for given axes that no mesh of so many devices can have."""
    fixed = fixed_axes(settings, pinned)
    product = math.prod(fixed.values())
    if num_devices % product or (len(fixed) == len(AXES) and product != num_devices):
        given = ", ".join(f"config.mesh.{axis}={n}" for axis, n in fixed.items())
        raise ConfigError(
            f"{given}: {num_devices} devices do not divide so; a product that is one of "
            f"{divisors(num_devices)} would work"
        )
    if fixed.get("replica", 0) % slices:
        raise ConfigError(
            f"config.mesh.replica={fixed['replica']}: each of {slices} slices has whole "
            f"copies of the parameters; a multiple of {slices} would work"
        )
    trainer.check_heads(settings, abstract(dict.fromkeys(AXES, 1) | fixed))


def layouts(
    settings: Settings, axes: dict[str, int], pinned: Collection[str]
) -> Iterator[Layout]:
    """On one mesh: every policy with every number of microbatches, the fewest first.

    Yields nothing where training would refuse the mesh.
    """
    rows = axes["replica"] * axes["fsdp"]
    clips, rest = divmod(settings.data.global_batch, rows)
    if rest:
        return
    asked = settings.optimizer.microbatches
    parts = [asked] if "optimizer.microbatches" in pinned else divisors(clips)
    for microbatches in parts:
        if not accepts(settings, axes, microbatches):
            continue
        heads = settings.model.num_heads // axes["tensor"]
        factors = settings.mesh.ulysses, settings.mesh.ring
        ulysses, _ = factor_context(heads, axes["context"], *factors)
        for remat in policies(settings, pinned):
            yield Layout(
                **axes, ulysses=ulysses, remat=remat, microbatches=microbatches
            )


def accepts(settings: Settings, axes: dict[str, int], microbatches: int) -> bool:
    """Whether `trainer.check_mesh` does."""
    optimizer = dataclasses.replace(settings.optimizer, microbatches=microbatches)
    laid = dataclasses.replace(settings, optimizer=optimizer)
    try:
        trainer.check_mesh(laid, abstract(axes))
    except ConfigError:
        return False
    return True


def abstract(axes: dict[str, int]) -> Any:
    """The mesh without devices."""
    return AbstractMesh(tuple(axes.values()), tuple(axes))
