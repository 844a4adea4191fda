"""The update of what hosts keep: devices hold the moments and averages of one layer at a time.

Arrays in the hosts' memory are carried through a loop over the layers, which brings a slice
and sends it back to its place. Of arrays that are brought whole, XLA has all on the devices
before the step begins.
"""

from collections.abc import Callable
from typing import Any

import jax

from videogen.core.types import Array, Params
from videogen.parallel.host_memory import is_on_host, kept_as, on_device

Paths = frozenset[str]
Update = Callable[[Any, Any, Array | None], Any]


def in_turns(update: Update, old: Any, grads: Params, averages: Params) -> Any:
    """update(old, grads, None), a tree like `old`, of one layer that hosts keep at a time.

    Args:
      update: of trees that have some of the paths, or of a layer (its index) of them, whose
        arrays are (1, ...). It gives all that is not by path the same value each time.
      old: a tree whose dicts by path are cut.
      averages: such a dict; of those on the host the first dim is of layers.
    """
    paths = frozenset(averages)
    depths = {path: x.shape[0] for path, x in averages.items() if is_on_host(x)}
    rest = paths.difference(depths)
    done = [update(_only(rest, paths, old), _only(rest, paths, grads), None)]
    for depth in sorted(set(depths.values())):
        stack = frozenset(path for path in depths if depths[path] == depth)
        own = _only(stack, paths, old), _only(stack, paths, grads)
        done.append(_by_layer(update, *own, stack, depth))
    return _together(done, paths)


def _by_layer(update: Update, old: Any, grads: Any, paths: Paths, depth: int) -> Any:
    """update(old, grads) of what is by path; all else stays."""

    def layer(i: Array, old: Any) -> Any:
        def cut(x: Array) -> Array:
            return jax.lax.dynamic_slice_in_dim(x, i, 1)

        def put(x: Array, new: Array) -> Array:
            return jax.lax.dynamic_update_slice_in_dim(x, new, i, 0)

        own = _map(cut, paths, old)
        new = update(on_device(own), _map(cut, paths, grads), i)
        return _map(put, paths, old, kept_as(new, own))

    return jax.lax.fori_loop(0, depth, layer, old)


def _map(function: Callable[..., Array], paths: Paths, *trees: Any) -> Any:
    """The first tree, with function(leaf, ...) of what is by path."""
    by_path = _by_path(paths)

    def of_node(node: Any, *others: Any) -> Any:
        return jax.tree.map(function, node, *others) if by_path(node) else node

    return jax.tree.map(of_node, *trees, is_leaf=by_path)


def _only(wanted: Paths, paths: Paths, tree: Any) -> Any:
    """The tree of some of the paths."""
    by_path = _by_path(paths)

    def cut(node: Any) -> Any:
        return {p: node[p] for p in node if p in wanted} if by_path(node) else node

    return jax.tree.map(cut, tree, is_leaf=by_path)


def _together(parts: list[Any], paths: Paths) -> Any:
    """The tree of all paths; all else is the first part's."""
    by_path = _by_path(paths)

    def join(node: Any, *others: Any) -> Any:
        if not by_path(node):
            return node
        return {path: x for part in (node, *others) for path, x in part.items()}

    return jax.tree.map(join, *parts, is_leaf=by_path)


def _by_path(paths: Paths) -> Callable[[Any], bool]:
    return lambda node: isinstance(node, dict) and node.keys() <= paths
