"""Weights of a network that differs from ours: what is loaded, adapted, new, dropped.

A leaf of equal path and shape is loaded as it is. Two kinds of leaves may differ:

    patch embedding   more input channels: its kernel's new rows are zero, so that the
                      network computes what it did until they are trained
    position table    more rows: "extend" puts newly initialised rows behind the old ones;
                      "interpolate" stretches the old ones over the new size, linearly,
                      row i of m standing at (i + 1/2) n / m - 1/2 of the old n
                      (Movie Gen, arXiv 2410.13720, does one or the other between stages)

Paths are found by `re.search`, so a parameter, its moments and its average meet one rule.
"""

import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import jax
import jax.numpy as jnp

from videogen.core.errors import ConfigError
from videogen.core.types import Array

Shape = tuple[int, ...]
# (old leaf, newly initialised leaf) -> the leaf to start with.
Change = Callable[[Array, Array], Array]

POSITIONS = ("interpolate", "extend")
_PATCH_EMBEDDING = re.compile(
    r"(^|\.)(patch_embed(ding)?(\.proj)?|x_embedder)\.kernel$"
)
_POSITION_TABLE = re.compile(r"(^|\.)positions\.(frames|rows|columns)$")
_MOST_NAMED = 4  # paths of a line in a report


@dataclass(frozen=True, kw_only=True)
class Rules:
    """How leaves may change.

    cells: places of a patch; a patch embedding's rows are (cells, channels).
    positions: one of POSITIONS, or "": position tables must not change.
    fresh: patterns of paths that are initialised anew whatever is stored.
    where: the field that asked for it, in errors.
    """

    cells: int
    positions: str = ""
    fresh: tuple[str, ...] = ()
    where: str = "config.init_from"


@dataclass(frozen=True, kw_only=True)
class Adaptation:
    """What becomes of each leaf: `adapted` has (what changes, in words; the change)."""

    loaded: tuple[str, ...]
    adapted: Mapping[str, tuple[str, Change]]
    new: tuple[str, ...]
    dropped: tuple[str, ...]


def compare(
    theirs: Mapping[str, Shape], ours: Mapping[str, Shape], rules: Rules
) -> Adaptation:
    """ConfigError for a leaf of both whose shapes differ in a way that no rule covers."""
    fresh = {path for path in ours if _any(rules.fresh, path)}
    for pattern in rules.fresh:
        if not any(re.search(pattern, path) for path in ours):
            raise ConfigError(
                f"config.init_fresh: {pattern!r} finds none of the model's parameters"
            )
    shared = sorted((ours.keys() & theirs.keys()) - fresh)
    changed = [path for path in shared if theirs[path] != ours[path]]
    return Adaptation(
        loaded=tuple(path for path in shared if theirs[path] == ours[path]),
        adapted={p: _change(p, theirs[p], ours[p], rules) for p in changed},
        new=tuple(sorted(ours.keys() - set(shared))),
        dropped=tuple(sorted(theirs.keys() - ours.keys())),
    )


def apply(
    adaptation: Adaptation, old: Mapping[str, Array], fresh: Mapping[str, Array]
) -> dict[str, Array]:
    """Every adapted leaf, from the old one and a newly initialised one. Pure."""
    changes = adaptation.adapted.items()
    return {path: change(old[path], fresh[path]) for path, (_, change) in changes}


def report(
    adaptation: Adaptation, theirs: Mapping[str, Shape], ours: Mapping[str, Shape]
) -> str:
    """Leaves and parameters of each fate, and the first paths of all but the loaded."""
    words = {path: f"{path} ({how})" for path, (how, _) in adaptation.adapted.items()}
    lines = [
        _line("loaded", adaptation.loaded, ours, {}),
        _line("adapted", tuple(words), ours, words),
        _line("new", adaptation.new, ours, {p: p for p in adaptation.new}),
        _line(
            "dropped", adaptation.dropped, theirs, {p: p for p in adaptation.dropped}
        ),
    ]
    return "\n".join(lines)


def _line(
    fate: str,
    paths: tuple[str, ...],
    shapes: Mapping[str, Shape],
    words: dict[str, str],
) -> str:
    count = sum(math.prod(shapes[path]) for path in paths)
    line = f"  {fate}: {len(paths)} leaves, {count:,} parameters"
    named = [words[path] for path in paths if path in words][:_MOST_NAMED]
    more = f" and {len(paths) - _MOST_NAMED} more" if len(paths) > _MOST_NAMED else ""
    return f"{line}: {', '.join(named)}{more}" if named else line


def _change(path: str, old: Shape, new: Shape, rules: Rules) -> tuple[str, Change]:
    if _POSITION_TABLE.search(path) and old[1:] == new[1:]:
        return _table_change(path, old, new, rules)
    is_patch = _PATCH_EMBEDDING.search(path) and (old[:-2], old[-1]) == (
        new[:-2],
        new[-1],
    )
    if is_patch and old[-2] < new[-2] and not old[-2] % rules.cells:
        how = f"{old[-2]} -> {new[-2]} rows, the new ones zero"
        return how, lambda old, fresh: _more_channels(old, fresh, rules.cells)
    raise ConfigError(
        f"{rules.where}: {path} is {_sizes(old)} before and {_sizes(new)} now; the old "
        "size would work, or a fresh start of the leaf: "
        f"--config.init_fresh=('{re.escape(path)}$',)"
    )


def _table_change(
    path: str, old: Shape, new: Shape, rules: Rules
) -> tuple[str, Change]:
    how = rules.positions
    rows = f"{old[0]} -> {new[0]} rows"
    if how == "interpolate":
        return f"{rows}, interpolated", lambda old, fresh: jax.image.resize(
            old, fresh.shape, "linear", antialias=False
        )
    if how == "extend" and old[0] < new[0]:
        return f"{rows}, extended", lambda old, fresh: jnp.concatenate(
            [old, fresh[len(old) :]]
        )
    fits = "interpolate" if how else "interpolate (or extend, to a larger table)"
    raise ConfigError(
        f"{rules.where}: init_positions={how!r} does not say how {path} goes from "
        f"{old[0]} to {new[0]} rows; init_positions={fits} would work"
    )


def _more_channels(old: Array, fresh: Array, cells: int) -> Array:
    """A patch embedding's kernel (..., cells x channels, D) with zeros for new channels."""
    *lead, rows, width = old.shape
    split = old.reshape(*lead, cells, rows // cells, width)
    added = (fresh.shape[-2] - rows) // cells
    pad = [(0, 0)] * (split.ndim - 2) + [(0, added), (0, 0)]
    return jnp.pad(split, pad).reshape(fresh.shape)


def _any(patterns: Iterable[str], path: str) -> bool:
    return any(re.search(pattern, path) for pattern in patterns)


def _sizes(shape: Shape) -> str:
    return "x".join(map(str, shape)) or "a number"
