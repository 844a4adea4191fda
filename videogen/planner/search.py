"""All layouts of a config on a slice, estimated: those that fit by their step time."""

import dataclasses
from collections.abc import Collection, Iterator

import jax

from videogen import trainer
from videogen.build import Settings
from videogen.core.errors import ConfigError
from videogen.cost.analytic import torus
from videogen.cost.analytic.estimate import Estimate, Step, estimate
from videogen.cost.analytic.stored import Stored, stored
from videogen.flagship import Shape
from videogen.parallel.chips import CHIPS, Chip
from videogen.planner import candidates, tracing
from videogen.train.state import TrainState


@dataclasses.dataclass(frozen=True, kw_only=True)
class Problem:
    """A config on a slice. pinned: fields of the config that stay as they are."""

    settings: Settings
    step: Step
    state: TrainState  # shapes
    chip: Chip
    topology: str
    slices: int = 1  # of the topology, each with whole copies of the parameters
    pinned: frozenset[str] = frozenset()

    @property
    def num_devices(self) -> int:
        return self.num_chips * self.chip.devices_per_chip

    @property
    def num_chips(self) -> int:
        return self.slices * torus.num_chips(self.topology)

    @property
    def place(self) -> str:
        """For people."""
        return f"{self.slices} x {self.topology}" if self.slices > 1 else self.topology

    @property
    def summary(self) -> str:
        """One line: the devices and what a step has to do."""
        devices = f"{self.num_devices} devices of {self.chip.hbm_gib} GiB"
        clips = (
            f"{self.settings.data.global_batch} clips of {self.step.tokens:,} tokens"
        )
        return f"{self.place}, {devices}; a step: {clips}"


def make_problem(
    settings: Settings,
    shape: Shape,
    chip: Chip,
    topology: str,
    pinned: Collection[str] = (),
    slices: int = 1,
) -> Problem:
    """Traces the step once for each remat policy: seconds. ConfigError for what cannot be."""
    devices = slices * torus.num_chips(topology) * chip.devices_per_chip
    candidates.check_pinned(settings, devices, slices, pinned)
    policies = candidates.policies(settings, pinned)
    return Problem(
        settings=settings,
        step=tracing.trace_step(settings, shape, chip, policies),
        state=tracing.state_shapes(settings, chip),
        chip=chip,
        topology=topology,
        slices=slices,
        pinned=frozenset(pinned),
    )


def search(problem: Problem) -> list[Estimate]:
    """The layouts that fit, the fastest first. ConfigError, with the nearest, if none does."""
    found = list(estimates(problem))
    fits = [x for x in found if x.spare_gib >= 0]
    if not found:
        raise no_mesh(problem)
    if not fits:
        raise ConfigError(misfit(max(found, key=lambda x: x.spare_gib), problem))
    return sorted(fits, key=lambda x: (x.step_seconds, x.peak_gib))


def estimates(problem: Problem) -> Iterator[Estimate]:
    """Of every mesh and policy: with the fewest microbatches that fit, else with the most."""
    settings, pinned = problem.settings, problem.pinned
    for axes in candidates.meshes(settings, problem.num_devices, pinned):
        if axes["replica"] % problem.slices:  # `make_mesh` refuses it
            continue
        last = {found.layout.remat: found for found in on_mesh(problem, axes)}
        yield from last.values()


def on_mesh(problem: Problem, axes: dict[str, int]) -> Iterator[Estimate]:
    """Of one mesh, with ever more microbatches until a policy fits; none if it cannot be."""
    layouts = list(candidates.layouts(problem.settings, axes, problem.pinned))
    sizes = problem.step.work["dots"].sizes
    if not layouts or any(size % axes[axis] for axis, size in sizes.items()):
        return
    pod = torus.lay_out(axes, problem.chip, problem.topology, problem.slices)
    try:
        kept = stored_on(problem, axes)
    except ConfigError:  # a dim of a parameter does not divide so
        return
    fits = set()
    for layout in layouts:
        if layout.remat not in fits:
            found = estimate(problem.step, kept, layout, pod, problem.chip)
            if found.spare_gib >= 0:
                fits.add(layout.remat)
            yield found


def stored_on(problem: Problem, axes: dict[str, int]) -> Stored:
    """What a device of a mesh keeps. ConfigError for a dim that does not divide."""
    mesh = candidates.abstract(axes)
    placed = trainer.place(problem.state, problem.settings, mesh)
    return stored(jax.tree.leaves(placed), placed.params, placed.weights, axes)


def no_mesh(problem: Problem) -> ConfigError:
    """No mesh of so many devices is accepted."""
    settings, pinned = problem.settings, sorted(problem.pinned)
    said = [name for name in pinned if name.startswith(("mesh.", "optimizer.micro"))]
    fixed = f" with {', '.join(said)} as given" if said else ""
    return ConfigError(
        f"no mesh of the {problem.num_devices} devices of {problem.place} divides "
        f"config.data.global_batch={settings.data.global_batch}, the "
        f"{problem.step.tokens} tokens of a clip, the {settings.model.num_heads} heads and "
        f"the widths of the model{fixed}; another config.data.global_batch, a multiple of "
        f"{problem.num_devices} say, or fewer fields given would work; `videogen aot` "
        "compiles a mesh whose context does not divide the tokens"
    )


def misfit(nearest: Estimate, problem: Problem) -> str:
    """By how much the nearest layout misses, and what would help."""
    chip, layout = problem.chip, nearest.layout
    larger = [x.name for x in CHIPS.values() if x.hbm_gib > nearest.peak_gib]
    ways = [f"more chips than {problem.num_chips}"]
    ways += [f"a chip of more memory ({', '.join(larger)})"] if larger else []
    if problem.settings.optimizer.moments == "float32":
        ways.append("--config.optimizer.moments=bfloat16")
    ways += ["fewer fields given"] if problem.pinned & FREE_FIELDS else []
    largest = max(nearest.num_bytes, key=lambda name: nearest.num_bytes[name])
    return (
        f"nothing fits {problem.place}: the nearest, "
        f"{' '.join(f'--config.{flag}' for flag in layout.flags)}, is estimated at "
        f"{nearest.peak_gib:.2f} GiB a device of {chip.hbm_gib}, "
        f"{-nearest.spare_gib:.2f} too much, most of it {largest}; "
        f"{', '.join(ways[:-1])}{' or ' if len(ways) > 1 else ''}{ways[-1]} would help"
    )


FREE_FIELDS = {
    *(f"mesh.{axis}" for axis in ("replica", "fsdp", "context", "tensor")),
    *("model.remat", "optimizer.microbatches"),
}
