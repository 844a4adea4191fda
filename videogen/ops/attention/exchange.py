"""Who sends which keys to whom in a ring, decided before anything runs.

The r devices of a ring each own a shard of the queries and of the keys. Keys travel in two
chains, up and down the ring, one neighbour per transfer: at hop t (t = 1, 2, .. up, or
-1, -2, .. down, modulo r) device i holds the keys of shard i - t. A shard travels no
further than the last device that has work with it, so a window pattern moves keys between
neighbours only, and a causal one only upwards. Of all lengths of the chain up (the chain
down serves the rest) the one with the fewest transfers is taken; where several have, as
without a mask, the most equal chains: each transfer then has two steps to hide behind, and
both directions of the links carry half.

Backward, the gradient of a shard's keys follows the keys one transfer behind, and is sent
home from the device where the journey ends: every transfer of keys is matched by one of
their gradient. With M the transfers of keys in all,

    forward bytes  = M (k + v)          backward bytes = M (k + v + 4 (elements of k and v))

per ring. M = r (r - 1) without a mask, which is the least possible: every shard must reach
the r - 1 other devices. Gradients travel as float32, for they are sums over devices.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import jax
import numpy as np

from videogen.core.types import Array

GRADIENT_SIZE = 4  # bytes: float32
Pairs = tuple[tuple[int, int], ...]  # (source, target)


@dataclass(frozen=True, kw_only=True)
class Hop:
    """One step of a ring; hop 0 is a device's own keys.

    shift: device i meets the keys of shard i - shift.
    pairs: who sends the keys of the hop before, and to whom.
    home: who sends a finished gradient back, and to whom.
    """

    shift: int = 0
    pairs: Pairs = ()
    home: Pairs = ()

    @property
    def before(self) -> int:
        """The shift of the hop before this one in its chain."""
        return self.shift - int(np.sign(self.shift))


@dataclass(frozen=True, kw_only=True)
class Ring:
    """A ring along part of a mesh axis, inside `jax.shard_map`.

    axis: of the mesh. Its devices are `size` places in a ring times `stride` rings:
        device p of the axis has place p // stride in ring p % stride.
    hops: what to do, from `plan_hops`.
    """

    axis: str
    size: int
    stride: int = 1
    hops: tuple[Hop, ...]

    def place(self) -> Array:
        """This device's place in its ring, traced."""
        return jax.lax.axis_index(self.axis) // self.stride

    def after(self, hop: Hop) -> list[Hop]:
        """The hop that follows in the chain of `hop`, if there is one."""
        return [other for other in self.hops if hop.shift and other.before == hop.shift]

    def send(self, arrays: Sequence[Array], pairs: Pairs) -> list[Array]:
        """What `pairs` brings to this device; zeros if it is no one's target."""
        moves = [
            (source * self.stride + ring, target * self.stride + ring)
            for source, target in pairs
            for ring in range(self.stride)
        ]
        return [jax.lax.ppermute(x, self.axis, moves) for x in arrays]

    def greatest(self, x: Array) -> Array:
        """The elementwise maximum over the ring."""
        rings = np.arange(self.size * self.stride).reshape(self.size, self.stride).T
        return jax.lax.pmax(x, self.axis, axis_index_groups=rings.tolist())


def make_ring(
    axis: str, size: int, stride: int = 1, live: np.ndarray | None = None
) -> Ring:
    """The ring with the fewest transfers for what is `live`, see `plan_hops`."""
    return Ring(axis=axis, size=size, stride=stride, hops=plan_hops(size, live))


def plan_hops(size: int, live: np.ndarray | None = None) -> tuple[Hop, ...]:
    """The hops of a ring, own keys first, then by distance.

    live: boolean (size, size): does any query of shard i attend a key of shard j? All
        do by default.
    """
    live = np.ones((size, size), bool) if live is None else live
    plans = [
        (_chain(live, 1, up), _chain(live, -1, size - 1 - up)) for up in range(size)
    ]
    up, down = min(
        plans, key=lambda plan: (num_transfers(sum(plan, ())), _imbalance(*plan))
    )
    hops = sorted(up + down, key=lambda hop: (abs(hop.shift), -hop.shift))
    return (Hop(), *hops)


def num_transfers(hops: tuple[Hop, ...]) -> int:
    """Transfers of keys in one ring, M above."""
    return sum(len(hop.pairs) for hop in hops)


def ring_bytes(ring: Ring, kv_elements: int, element_size: int) -> tuple[int, int]:
    """(forward, backward): bytes that the devices of a mesh axis send, together.

    kv_elements: of one device's k and v, together; element_size: in bytes.
    """
    elements = num_transfers(ring.hops) * ring.stride * kv_elements
    return elements * element_size, elements * (element_size + GRADIENT_SIZE)


def _chain(live: np.ndarray, sign: int, length: int) -> tuple[Hop, ...]:
    """The hops up (sign 1) or down (-1) the ring, as far as anyone has work."""
    r = len(live)
    hops, onward = [], set()
    for distance in range(length, 0, -1):
        shift = sign * distance
        works = {i for i in range(r) if live[i, (i - shift) % r]}
        reached = works | {(i - sign) % r for i in onward}
        ends = [i for i in sorted(reached) if (i + sign) % r not in onward]
        hop = Hop(
            shift=shift,
            pairs=tuple(((i - sign) % r, i) for i in sorted(reached)),
            home=tuple((i, (i - shift) % r) for i in ends),
        )
        hops += [hop] if reached else []
        onward = reached
    return tuple(reversed(hops))


def _imbalance(up: tuple[Hop, ...], down: tuple[Hop, ...]) -> tuple[int, int]:
    return abs(len(up) - len(down)), -len(up)
