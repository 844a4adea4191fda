"""A program to cost, as the function that a case names returns it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from videogen.cost.pod import Pod
from videogen.cost.schedule import Shares


@dataclass(frozen=True, kw_only=True)
class Case:
    """A function, the shapes it is compiled for, and what the schedules cannot tell.

    args: pytrees of jax.ShapeDtypeStruct; one without a sharding goes to the first device.
    flops: useful FLOPs per device; None: unknown.
    shares: by a part of a kernel's name, the longest that it contains ("" is in all of
        them; transformations add to names); a kernel without guarded code needs none.
    branch: a part of the name of a kernel: conditionals take the branch that runs it.
        None: the dearest branch of each.
    facts: figures to hand on to the report.
    row_major: arguments and results lie in memory as their dims are written. By default XLA
        lays them out as it likes, and copies them where a kernel does not.
    pod: of a function that is jitted already, for a mesh: the mesh as chips; else None.
    """

    function: Callable[..., Any]
    args: tuple[Any, ...]
    flops: float | None = None
    shares: Mapping[str, Shares] = field(default_factory=dict)
    branch: str | None = None
    facts: Mapping[str, float] = field(default_factory=dict)
    row_major: bool = False
    pod: Pod | None = None
