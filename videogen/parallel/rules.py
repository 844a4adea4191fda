"""Sharding as a table: dotted path -> logical axes -> mesh axes.

A model keeps an ordered table of (regex, logical axes) beside it, one logical axis or
None per dimension. The first regex that `re.search` finds in a leaf's dotted path wins,
so `params.X`, `opt_state...mu.X`, `opt_state...nu.X` and `ema.X` all meet the rule of
X.
"""

import math
import re
from typing import Any

import jax
from jax.sharding import AbstractMesh, Mesh, NamedSharding, PartitionSpec

from videogen.core.errors import ConfigError, suggest
from videogen.parallel.mesh import divisors

MeshAxes = str | tuple[str, ...] | None
Table = tuple[tuple[str, tuple[str | None, ...]], ...]

LOGICAL: dict[str, MeshAxes] = {
    # Of parameters.
    "layers": None,  # the scanned dim: cutting it would serialise the devices
    "embed": ("fsdp", "context"),
    "heads": "tensor",
    "mlp": "tensor",
    # Of activations; "heads" and "mlp" serve both.
    "batch": ("replica", "fsdp"),
    "groups": ("replica", "fsdp", "context"),  # of tokens, each a row of a batch
    "tokens": "context",
    "text": None,
    "features": None,  # the model's width, which is "embed" only in parameters
    "head_dim": None,
}


def tree_shardings(tree: Any, table: Table, mesh: Mesh | AbstractMesh) -> Any:
    """The same tree with a NamedSharding per leaf (anything with a shape).

    Leaves of rank 0 replicate. Raises ConfigError, in one line, for a leaf without a
    rule, a rule of another rank, a dim that does not divide, an idle rule.
    """
    leaves, treedef = jax.tree_util.tree_flatten_with_path(tree)
    used = set()
    shardings = []
    for keys, leaf in leaves:
        path, shape = path_name(keys), tuple(leaf.shape)
        spec = PartitionSpec()
        if shape:
            pattern, names = _find_rule(path, shape, table)
            used.add(pattern)
            spec = partition(shape, names, mesh, f"{path} (rule {pattern!r})")
        shardings.append(NamedSharding(mesh, spec))
    for pattern, _ in table:
        if pattern not in used:
            raise ConfigError(
                f"sharding rule {pattern!r} decides no leaf: remove it, mend its regex "
                "or move it above the rule that hides it"
            )
    return treedef.unflatten(shardings)


def stacked(tree: Any, table: Table) -> Any:
    """The same tree, of bools: whether a leaf's first dim is `layers`."""

    def is_stacked(keys: Any, leaf: Any) -> bool:
        path, shape = path_name(keys), tuple(leaf.shape)
        return bool(shape) and _find_rule(path, shape, table)[1][0] == "layers"

    return jax.tree_util.tree_map_with_path(is_stacked, tree)


def partition(
    shape: tuple[int, ...],
    names: tuple[str | None, ...],
    mesh: Mesh | AbstractMesh,
    what: str,
) -> PartitionSpec:
    """The PartitionSpec of logical axes, checked; `what` names the array in errors."""
    if len(names) != len(shape):
        raise ConfigError(
            f"{what}: {len(names)} logical axes {names} for the {len(shape)} dims "
            f"{shape}; one axis (or None) per dim would work"
        )
    dims = []
    for dim, (size, name) in enumerate(zip(shape, names, strict=True)):
        axes = _mesh_axes(name, what)
        _check_divides(size, axes, mesh, f"{what} dim {dim} ({name})")
        dims.append(axes)
    return PartitionSpec(*dims)


def batch_sharding(mesh: Mesh | AbstractMesh, rank: int) -> NamedSharding:
    """The sharding of a batch leaf of that rank: dim 0 over (replica, fsdp)."""
    dims = (LOGICAL["batch"],) + (None,) * (rank - 1) if rank else ()
    return NamedSharding(mesh, PartitionSpec(*dims))


def path_name(keys: Any) -> str:
    """'opt_state.1.mu.blocks.attn1.to_q.kernel' of a jax key path."""
    return jax.tree_util.keystr(keys, simple=True, separator=".")


def _find_rule(
    path: str, shape: tuple[int, ...], table: Table
) -> tuple[str, tuple[str | None, ...]]:
    for pattern, names in table:
        if re.search(pattern, path):
            return pattern, names
    raise ConfigError(
        f"{path} of shape {shape} matches no sharding rule: add a line for it to the "
        "model's sharding.py"
    )


def _mesh_axes(name: str | None, what: str) -> MeshAxes:
    if name is None:
        return None
    if name not in LOGICAL:
        raise ConfigError(
            f"{what}: unknown logical axis {name!r}{suggest(name, LOGICAL)}"
        )
    return LOGICAL[name]


def _check_divides(
    size: int, axes: MeshAxes, mesh: Mesh | AbstractMesh, where: str
) -> None:
    axes = () if axes is None else (axes,) if isinstance(axes, str) else axes
    ways = math.prod(mesh.shape[axis] for axis in axes)
    if size % ways:
        text = " x ".join(f"{axis}={mesh.shape[axis]}" for axis in axes)
        fits = [k for k in divisors(size) if k < ways]
        raise ConfigError(
            f"{where}: size {size} does not divide over {text}; a multiple of {ways}, "
            f"or {' x '.join(axes)} one of {fits}, would work"
        )
