"""Published checkpoints: names and layouts, as one table that is read both ways.

Ours are `{dotted path: array}`, the blocks of a stack as one array with a leading `layers`
dim. Theirs are `{key: tensor}`, a tensor a layer. A `WeightTable` says, for every path of
ours with its layer put in ("blocks.3.attn1.to_q.kernel"), which key it is and how it lies
there. Reading uses every key once and fills every path, or fails; writing is the inverse,
bit for bit. A path may have several keys, whose tensors must be equal.
"""

import functools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from videogen.core.errors import DataError

Shape = tuple[int, ...]
MOST_NAMED = 8  # keys of an error


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Two functions of an array, each the other's inverse."""

    ours: Callable[[np.ndarray], np.ndarray]
    theirs: Callable[[np.ndarray], np.ndarray]

    def then(self, more: "Layout") -> "Layout":
        """From theirs to ours by this one first."""
        return Layout(
            ours=lambda x: more.ours(self.ours(x)),
            theirs=lambda x: self.theirs(more.theirs(x)),
        )


SAME = Layout(ours=lambda x: x, theirs=lambda x: x)
# A linear layer: theirs (out, in), ours (in, out).
LINEAR = Layout(ours=lambda x: x.T, theirs=lambda x: x.T)
# A table that theirs gives a leading dim of one.
LEADING_ONE = Layout(ours=lambda x: x[0], theirs=lambda x: x[None])
# What gives the negative of theirs (data - noise).
NEGATED = Layout(ours=lambda x: -x, theirs=lambda x: -x)


def _swap(x: np.ndarray) -> np.ndarray:
    return np.roll(x, x.shape[-1] // 2, axis=-1)


# The halves of the last dim: theirs (shift, scale), ours (scale, shift).
SWAPPED = Layout(ours=_swap, theirs=_swap)


def patch_conv(channels: int, patch: tuple[int, ...]) -> Layout:
    """A strided convolution (out, C, *patch) as our linear layer of patches (P, out)."""

    def ours(x: np.ndarray) -> np.ndarray:
        return np.moveaxis(x, (0, 1), (-1, -2)).reshape(-1, x.shape[0])

    def theirs(x: np.ndarray) -> np.ndarray:
        return np.moveaxis(x.reshape(*patch, channels, -1), (-1, -2), (0, 1))

    return Layout(ours=ours, theirs=theirs)


def channels_first(channels: int, patch: tuple[int, ...]) -> Layout:
    """The last dim, of patches: theirs (C, *patch), ours (*patch, C)."""

    def ours(x: np.ndarray) -> np.ndarray:
        y = x.reshape(*x.shape[:-1], channels, *patch)
        return np.moveaxis(y, x.ndim - 1, -1).reshape(x.shape)

    def theirs(x: np.ndarray) -> np.ndarray:
        y = x.reshape(*x.shape[:-1], *patch, channels)
        return np.moveaxis(y, -1, x.ndim - 1).reshape(x.shape)

    return Layout(ours=ours, theirs=theirs)


def halves(parts: tuple[int, ...]) -> Layout:
    """The last dim, of heads to be turned: theirs pairs i with i + d/2, ours with i + 1.

    parts: the sizes d of a head's parts, each of which is paired within itself; one that
        is not turned may be given as ones.
    """
    places, start = [], 0
    for part in parts:
        pairs = np.arange(part).reshape(2, -1).T if part > 1 else np.zeros((1, 1), int)
        places.append(start + pairs.reshape(-1))
        start += part
    order = np.concatenate(places)
    back = np.argsort(order)

    def permute(x: np.ndarray, by: np.ndarray) -> np.ndarray:
        heads = x.reshape(*x.shape[:-1], -1, len(by))
        return heads[..., by].reshape(x.shape)

    return Layout(ours=lambda x: permute(x, order), theirs=lambda x: permute(x, back))


@dataclass(frozen=True, kw_only=True)
class Rule:
    """Paths that `pattern` finds (re.search) take the key of `re.sub` and this layout.

    rows: (start, stop) along a dim of the key, where one tensor of theirs holds several of
        ours; None: all of it.
    rows_dim: which dim; 0 parts a linear layer's outputs, 1 its inputs.
    period: those rows of every so many, one after the other (keys and values that lie
        together for each group of heads); None: once.
    """

    pattern: str
    key: str
    layout: Layout = SAME
    rows: tuple[int, int] | None = None
    rows_dim: int = 0
    period: int | None = None


@dataclass(frozen=True, kw_only=True)
class Place:
    """One tensor of ours and where it stands in theirs. layer: of a stack, else None."""

    path: str
    layer: int | None
    shape: Shape
    key: str
    layout: Layout
    rows: tuple[int, int] | None
    rows_dim: int = 0
    period: int | None = None


# What most checkpoints of PyTorch agree on.
TORCH = (
    Rule(pattern=r"\.kernel$", key=".weight", layout=LINEAR),
    Rule(pattern=r"\.scale$", key=".weight"),
    Rule(pattern=r"$", key=""),
)


# How transformers of PixArt's kind are named in diffusers, and what releases built on it.
PIXART = (
    (r"\.to_out\.", ".to_out.0."),
    (r"\.ffn\.up\.", ".ff.net.0.proj."),
    (r"\.ffn\.down\.", ".ff.net.2."),
    (r"^condition_embedder\.text_embedder", "caption_projection"),
)
ADALN_SINGLE = (
    *PIXART,
    (r"^patch_embedding", "pos_embed.proj"),
    (r"^condition_embedder\.time_embedder", "adaln_single.emb.timestep_embedder"),
    (r"^condition_embedder\.time_proj", "adaln_single.linear"),
)


def _alone(key: str) -> Iterable[str]:
    return (key,)


@dataclass(frozen=True, kw_only=True)
class WeightTable:
    """What another project calls our parameters.

    stacks: our stack's path -> their blocks' prefix, "{}" standing for the layer; or the
        prefix of each layer.
    renames: (pattern, replacement) that change paths before the rules see them.
    rules: the first that matches decides; those of TORCH come last.
    ignored: a pattern of their keys that hold nothing to learn (position tables, say).
    copies: of a key, all keys that hold that tensor, itself among them.
    """

    stacks: Mapping[str, str | Sequence[str]]
    renames: tuple[tuple[str, str], ...] = ()
    rules: tuple[Rule, ...] = ()
    ignored: str | None = None
    copies: Callable[[str], Iterable[str]] = _alone

    def places(self, shapes: Mapping[str, Shape]) -> Iterator[Place]:
        """Every tensor of ours, a layer at a time, in the order of paths; once for each key."""
        for path, shape in shapes.items():
            stack = self._stack(path)
            if stack is None:
                yield from self._places(path, path, None, shape)
                continue
            rest, prefix = path[len(stack) :], self.stacks[stack]
            for layer in range(shape[0]):
                name = (
                    prefix.format(layer) if isinstance(prefix, str) else prefix[layer]
                )
                yield from self._places(path, name + rest, layer, shape[1:])

    def _stack(self, path: str) -> str | None:
        return next((x for x in self.stacks if path.startswith(x + ".")), None)

    def _places(
        self, path: str, name: str, layer: int | None, shape: Shape
    ) -> Iterator[Place]:
        for pattern, replacement in self.renames:
            name = re.sub(pattern, replacement, name)
        rule = next(r for r in (*self.rules, *TORCH) if re.search(r.pattern, name))
        key = re.sub(rule.pattern, rule.key, name, count=1)
        for copy in self.copies(key):
            yield Place(
                path=path,
                layer=layer,
                shape=shape,
                key=copy,
                layout=rule.layout,
                rows=rule.rows,
                rows_dim=rule.rows_dim,
                period=rule.period,
            )

    def check(self, shapes: Mapping[str, Shape], theirs: Mapping[str, Shape]) -> None:
        """DataError unless each key of theirs is used, each of ours filled, shapes equal."""
        wanted = self.their_shapes(shapes)
        ignored = [k for k in theirs if self.ignored and re.search(self.ignored, k)]
        surplus = sorted(theirs.keys() - wanted.keys() - set(ignored))
        wrong = [
            f"{key} is {_sizes(theirs[key])} for {_sizes(wanted[key])}"
            for key in sorted(wanted.keys() & theirs.keys())
            if tuple(theirs[key]) != wanted[key]
        ]
        faults = [
            _some("missing", sorted(wanted.keys() - theirs.keys())),
            _some("unknown", surplus),
            _some("of another shape", wrong),
        ]
        if any(faults):
            raise DataError(
                f"the checkpoint is not of this model: {'; '.join(filter(None, faults))}"
            )

    def their_shapes(self, shapes: Mapping[str, Shape]) -> dict[str, Shape]:
        """Key -> shape of the whole checkpoint."""
        found: dict[str, Shape] = {}
        theirs = functools.cache(_their_shape)  # the layers of a stack are alike
        for place in self.places(shapes):
            shape = theirs(place.layout, place.shape)
            if place.rows is not None:
                dim, (start, stop) = place.rows_dim, place.rows
                so_far = found.get(place.key, (0,) * len(shape))[dim]
                whole = shape[dim] // (stop - start) * (place.period or stop)
                shape = (*shape[:dim], max(so_far, whole), *shape[dim + 1 :])
            found[place.key] = shape
        return found


def read(
    table: WeightTable, shapes: Mapping[str, Shape], theirs: Mapping[str, Any]
) -> dict[str, np.ndarray]:
    """Our parameters, float32, of their tensors.

    DataError as `WeightTable.check`, or for copies of a tensor that differ.
    """
    table.check(shapes, {key: tuple(x.shape) for key, x in theirs.items()})
    params = {path: np.empty(shape, np.float32) for path, shape in shapes.items()}
    filled: dict[Any, str] = {}
    for place in table.places(shapes):
        value = ours(place, np.asarray(theirs[place.key]))
        first = filled.setdefault((place.path, place.layer), place.key)
        if first == place.key:
            params[place.path][_at(place)] = value
        elif not np.array_equal(params[place.path][_at(place)], value):
            raise DataError(
                f"the checkpoint has {first} and {place.key} differ, which are one tensor"
            )
    return params


def write(table: WeightTable, params: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Their tensors of our parameters: the inverse of `read`."""
    arrays = {path: np.asarray(x) for path, x in params.items()}
    shapes = {path: x.shape for path, x in arrays.items()}
    found = {
        key: np.empty(shape, np.float32)
        for key, shape in table.their_shapes(shapes).items()
    }
    for place in table.places(shapes):
        value = place.layout.theirs(arrays[place.path][_at(place)])
        put(place, value, found[place.key])
    return found


def ours(place: Place, tensor: np.ndarray) -> np.ndarray:
    """Our tensor, of theirs that holds it."""
    part, dim = _part(place, tensor), place.rows_dim
    if place.rows is not None:
        part = part.reshape(*tensor.shape[:dim], -1, *tensor.shape[dim + 1 :])
    return place.layout.ours(part)


def put(place: Place, value: np.ndarray, tensor: np.ndarray) -> None:
    """Writes a value in their layout to where it stands in their contiguous tensor."""
    part = _part(place, tensor)
    part[...] = value.reshape(part.shape)


def _part(place: Place, tensor: np.ndarray) -> np.ndarray:
    """A view of what is ours in their tensor; the dim of `rows` is cut into periods."""
    if place.rows is None:
        return tensor
    dim, shape = place.rows_dim, tensor.shape
    period = place.period or shape[dim]
    periods = tensor.reshape(*shape[:dim], -1, period, *shape[dim + 1 :])
    return periods[(*[slice(None)] * (dim + 1), slice(*place.rows))]


def layer_key(place: Place) -> str:
    """The name of one tensor of ours outside of memory: `path`, or `path[layer]`."""
    return place.path if place.layer is None else f"{place.path}[{place.layer}]"


def _at(place: Place) -> Any:
    return ... if place.layer is None else place.layer


def _their_shape(layout: Layout, shape: Shape) -> Shape:
    """By an array that takes no memory until something is moved in it."""
    return layout.theirs(np.broadcast_to(np.zeros((), np.int8), shape)).shape


def _sizes(shape: Shape) -> str:
    return "x".join(map(str, shape)) or "a number"


def _some(what: str, names: list[str]) -> str:
    if not names:
        return ""
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return f"{what}: {', '.join(names[:MOST_NAMED])}{more}"
