"""What a traced step does, read off its jaxpr: products, kernels, bytes, what is kept.

The jaxpr of a loss and its gradients holds the step as it will run: recomputation is written
out, what the backward pass needs of a layer is what a scan stacks, and a kernel says its
blocks and how often it runs. So no family and no remat policy needs a formula of its own.

Traced are CLIPS clips, a prime: an array with a dim that it divides is one that each clip has,
any other is shared by all of them, as a weight is. Figures are of one clip.
"""

import json
import math
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

CLIPS = 1009
CONSTRAINT = "sharding_constraint"
# Writes no array of its own: XLA folds it into what reads it.
FREE = {
    *("broadcast_in_dim", "reshape", "squeeze", "expand_dims", "iota", "slice"),
    *("convert_element_type", "copy", "transpose", "stop_gradient", "rev"),
    CONSTRAINT,
}
ON_DEVICE = "shard_map"  # around a kernel that is no attention: its results are whole
SUMS = {"reduce_sum", "reduce_max", "reduce_min", "argmax", "cumsum"}


@dataclass(frozen=True, kw_only=True)
class Bytes:
    """whole: of arrays that the tensor axis leaves whole; cut: of those that it cuts."""

    whole: float = 0.0
    cut: float = 0.0

    def __add__(self, other: "Bytes") -> "Bytes":
        return Bytes(whole=self.whole + other.whole, cut=self.cut + other.cut)

    def scaled(self, factor: float | int) -> "Bytes":
        return Bytes(whole=factor * self.whole, cut=factor * self.cut)

    def over(self, tensor: int) -> float:
        """On a device of a tensor axis of so many."""
        return self.whole + self.cut / tensor


@dataclass(frozen=True, kw_only=True)
class KernelCall:
    """An attention kernel, over all its heads. times: how often it runs."""

    times: int
    backward: bool
    visits: float  # of a head to a pair of blocks
    pairs: float  # of a query and a key that these visit
    head_dim: int
    num_bytes: float  # of its queries
    exchanges: bool  # its keys are cut over the mesh's context axis, as its queries are


@dataclass(frozen=True, kw_only=True)
class Stack:
    """What a scan keeps of all its layers for the one that runs back."""

    layers: int
    kept: Bytes
    weights: Bytes  # of them all clips share, as they follow from parameters alone


@dataclass(frozen=True, kw_only=True)
class Work:
    """Forward and backward."""

    product_flops: float
    product_bytes: Bytes  # operands and results of products
    weight_bytes: float  # of them, what all clips share: once a step
    kernels: tuple[KernelCall, ...]
    stacks: tuple[Stack, ...]
    loose_bytes: Bytes  # what all else writes, and what sums read: before any fusion
    fused: bool = False  # whether a kernel of the norm runs
    sizes: Mapping[str, int]  # mesh axis -> what divides all dims that are cut over it


def read(jaxpr: Any, cut: Collection[tuple[int, ...]] = ()) -> Work:
    """The work of a jaxpr.

    cut: sizes of dims that tell arrays which the tensor axis cuts, as (heads, head dim).
    """
    reader = _Reader(cut)
    flops, weights, fused = 0.0, 0.0, False
    products, loose, kernels = Bytes(), Bytes(), []
    for eqn, times in walk(jaxpr):
        name = eqn.primitive.name
        if name == "dot_general":
            arrays = (*eqn.invars, *eqn.outvars)
            flops += times * product_flops(eqn)
            products += reader.clip_bytes(arrays).scaled(times)
            weights += times * reader.shared_bytes(arrays).over(1)
        elif name == "pallas_call" and is_attention(eqn):
            kernels.append(kernel_call(eqn, times))
        elif name not in FREE:
            fused |= name == ON_DEVICE
            arrays = eqn.invars if name in SUMS else eqn.outvars
            loose += reader.clip_bytes(arrays).scaled(times)
    return Work(
        product_flops=flops,
        product_bytes=products,
        weight_bytes=weights,
        kernels=tuple(kernels),
        stacks=tuple(reader.stacks(jaxpr)),
        loose_bytes=loose,
        fused=fused,
        sizes=cut_sizes(jaxpr),
    )


def cut_sizes(jaxpr: Any) -> dict[str, int]:
    """Of dims that activations are pinned to have cut over one axis alone; traced under a
    mesh, see `parallel/constrain.py`."""
    sizes: dict[str, int] = {}
    for eqn, _ in walk(jaxpr):
        if eqn.primitive.name == CONSTRAINT:
            dims = zip(
                eqn.params["sharding"].spec, eqn.invars[0].aval.shape, strict=False
            )
            for axis, size in dims:
                if isinstance(axis, str):
                    sizes[axis] = math.gcd(sizes.get(axis, 0), size)
    return sizes


def walk(jaxpr: Any, times: int = 1) -> Iterator[tuple[Any, int]]:
    """The equations that compute, with how often each runs; of a choice the first branch."""
    for eqn in jaxpr.eqns:
        inner = tuple(inner_of(eqn))
        if not inner:
            yield eqn, times
        for body in inner:
            yield from walk(body, times * eqn.params.get("length", 1))


def inner_of(eqn: Any) -> Iterator[Any]:
    """The jaxprs that an equation runs, a kernel's own aside."""
    if eqn.primitive.name in ("pallas_call", ON_DEVICE):
        return
    if eqn.primitive.name == "cond":
        yield eqn.params["branches"][0].jaxpr
        return
    for value in eqn.params.values():
        for item in value if isinstance(value, tuple | list) else (value,):
            body = getattr(item, "jaxpr", item)
            if hasattr(body, "eqns"):
                yield body


def product_flops(eqn: Any) -> float:
    """2 x elements of the result x contracted ones, of one clip."""
    (contracted, _), _ = eqn.params["dimension_numbers"]
    left, result = eqn.invars[0].aval, eqn.outvars[0].aval
    depth = math.prod(left.shape[dim] for dim in contracted)
    return 2.0 * depth * math.prod(result.shape) / CLIPS


def is_attention(eqn: Any) -> bool:
    """Whether it is a kernel of products; others pass over arrays."""
    names = ("attention_forward", "attention_backward")
    return any(name in str(eqn.params) for name in names)


def kernel_call(eqn: Any, times: int) -> KernelCall:
    """Of the grid (rows, heads / heads of a step, steps) and of the blocks of q, (do,) k."""
    mapping, name = eqn.params["grid_mapping"], str(eqn.params)
    backward = "attention_backward" in name
    q, k = (mapping.block_mappings[i] for i in (0, 2 if backward else 1))
    (_, heads, head_dim, queries), keys = _block(q), _block(k)[2]
    steps = math.prod(mapping.grid) if _is_static(mapping.grid) else _noted_steps(eqn)
    visits = steps * heads / CLIPS
    q_shape, k_shape = q.array_aval.shape, k.array_aval.shape
    return KernelCall(
        times=times,
        backward=backward,
        visits=visits,
        pairs=visits * queries * keys,
        head_dim=head_dim,
        num_bytes=num_bytes(q.array_aval) / CLIPS,
        exchanges=q_shape[3] == k_shape[2],
    )


def _block(mapping: Any) -> tuple[int, ...]:
    return tuple(getattr(dim, "block_size", 1) for dim in mapping.block_shape)


def _is_static(grid: Iterable[Any]) -> bool:
    return all(isinstance(dim, int) for dim in grid)


def _noted_steps(eqn: Any) -> int:
    """Of a list known at run time only: as many as without a mask."""
    return json.loads(eqn.params["metadata"]["shares"])["steps"]


class _Reader:
    """Bytes of arrays, by what their dims say."""

    def __init__(self, cut: Collection[tuple[int, ...]]):
        self.cut = [set(dims) for dims in cut]

    def clip_bytes(self, variables: Iterable[Any]) -> Bytes:
        """One clip's, of the arrays that each clip has."""
        mine = (x.aval for x in variables if is_per_clip(x.aval))
        return sum((self._bytes(aval) for aval in mine), Bytes()).scaled(1 / CLIPS)

    def shared_bytes(self, variables: Iterable[Any]) -> Bytes:
        """Of the others."""
        others = (x.aval for x in variables if not is_per_clip(x.aval))
        return sum((self._bytes(aval) for aval in others), Bytes())

    def stacks(self, jaxpr: Any) -> Iterator[Stack]:
        """Of the scans outside of scans that run forward."""
        for eqn in jaxpr.eqns:
            if eqn.primitive.name != "scan":
                for body in inner_of(eqn):
                    yield from self.stacks(body)
            elif not eqn.params["reverse"]:
                stacked = eqn.outvars[eqn.params["num_carry"] :]
                kept = self.clip_bytes(stacked)
                if kept != Bytes():  # else it is no stack of layers
                    weights = self.shared_bytes(_without_parameters(eqn, stacked))
                    layers = eqn.params["length"]
                    yield Stack(layers=layers, kept=kept, weights=weights)

    def _bytes(self, aval: Any) -> Bytes:
        is_cut = any(dims <= set(aval.shape) for dims in self.cut)
        return Bytes(**{"cut" if is_cut else "whole": float(num_bytes(aval))})


def _without_parameters(eqn: Any, stacked: Iterable[Any]) -> Iterator[Any]:
    """Those of a scan's results that are no parameters of blocks that take turns.

    Such are cut out of a stack, (turns, blocks of a turn, ...), where the mesh keeps them.
    """
    xs = eqn.invars[eqn.params["num_consts"] + eqn.params["num_carry"] :]
    cut = {(x.aval.dtype, (*x.aval.shape[:1], *x.aval.shape[2:])) for x in xs}
    return (x for x in stacked if (x.aval.dtype, x.aval.shape) not in cut)


def is_per_clip(aval: Any) -> bool:
    """Whether a dim counts clips."""
    return any(size and size % CLIPS == 0 for size in getattr(aval, "shape", ()))


def num_bytes(aval: Any) -> int:
    """Of an array's shape and dtype; 0 of what has none."""
    size = getattr(getattr(aval, "dtype", None), "itemsize", 0)
    return math.prod(getattr(aval, "shape", ())) * size
