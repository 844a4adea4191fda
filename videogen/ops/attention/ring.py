"""Attention with its gradient, from a kernel of one device; alone or in a ring.

Forward, the kernel takes up one set of keys after the other (`local.Carry`). Backward, from
the logsumexp L of all keys and D = sum_e do o, each set of keys gives its share of dq, and
its dk and dv whole but for the shares of other devices. Saved are q, k, v, o and L.

In a ring (exchange.py says who sends what) the queries stay and the keys travel. What a
transfer brings is first used after the kernel call that follows its start, so it can hide
behind that call. Backward, two transfers would have nothing to hide behind: the first one
of keys, and the last one of gradients. Therefore a device meets the first part of its own
keys before all others, and the second part after all others.

The barriers below state that order: without them it is XLA's to choose.
"""

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.ad_checkpoint import checkpoint_name

from videogen.core.types import Array
from videogen.ops.attention.exchange import Hop, Ring
from videogen.ops.attention.local import Carry, Extent, Kernel
from videogen.ops.attention.mask import Mask, Masks, Tensor


def attend(
    kernel: Kernel,
    q_BKEN: Array,
    k_BGSE: Array,
    v_BGES: Array,
    mask: Mask | None,
    *,
    scale: float,
    logit_bound: float | None = None,
    ring: Ring | None = None,
    num_kv: int | None = None,
) -> Array:
    """o_BKEN in the dtype of q. Reverse-mode derivatives only.

    num_kv: keys that count, the others are padding; of calls without mask and ring.
    With a ring, q, k, v are the share of this device, and the mask that of the whole ring.
    Under `jax.checkpoint`, saving the names "attention_o" and "attention_lse" spares the
    backward pass the whole forward pass. Of fewer keys than queries, as of text, they are
    "few_keys_o" and "few_keys_lse": as large, and of little work.
    """
    is_static = mask is not None and mask.is_static
    few_keys = k_BGSE.shape[2] < q_BKEN.shape[3]
    if num_kv is not None and not getattr(kernel, "skips_padding", False):
        k_BGSE, v_BGES = k_BGSE[:, :, :num_kv], v_BGES[..., :num_kv]
        num_kv = None
    call = _Call(
        kernel=kernel,
        few_keys=few_keys,
        more={} if num_kv is None else {"num_kv": num_kv},
        scale=scale,
        logit_bound=logit_bound,
        ring=ring,
        static_mask=mask if is_static else None,
    )
    return _attend(call, q_BKEN, k_BGSE, v_BGES, None if is_static else mask)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Call:
    """What is known while tracing. Equal to itself alone: NumPy arrays have no hash."""

    kernel: Kernel
    scale: float
    logit_bound: float | None
    ring: Ring | None
    static_mask: Mask | None
    few_keys: bool
    more: dict[str, int]  # num_kv, for a kernel that skips padding


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def _attend(call: _Call, q: Array, k: Array, v: Array, mask: Mask | None) -> Array:
    return _forward(call, q, k, v, mask).o_BKEN


def _forward_rule(call: _Call, q, k, v, mask):
    o, lse = _forward(call, q, k, v, mask)
    name = "few_keys" if call.few_keys else "attention"
    o = checkpoint_name(o, f"{name}_o")
    lse = checkpoint_name(lse, f"{name}_lse")
    return o, (q, k, v, mask, o, lse)


def _backward_rule(call: _Call, saved, do):
    q, k, v, mask, o, lse = saved
    di = jnp.sum(do.astype(jnp.float32) * o.astype(jnp.float32), axis=2)
    share = partial(call.kernel.backward, scale=call.scale, **call.more)
    mask = call.static_mask if mask is None else mask
    if call.ring is None:
        grads = share(q, k, v, mask, do, lse, di, dtype=q.dtype)
    else:
        grads = _ring_backward(call.ring, share, q, k, v, mask, (do, lse, di))
    return *(x.astype(q.dtype) for x in grads), None


_attend.defvjp(_forward_rule, _backward_rule)


def _forward(call: _Call, q, k, v, mask) -> Carry:
    numbers = {"scale": call.scale, "logit_bound": call.logit_bound, **call.more}
    add_keys = partial(call.kernel.forward, **numbers)
    mask = call.static_mask if mask is None else mask
    if call.ring is None:
        return add_keys(q, k, v, mask, None, dtype=q.dtype)
    if getattr(call.kernel, "uses_extent", False):
        extent = Extent(*map(call.ring.greatest, Extent.of(k, v)))
        add_keys = partial(add_keys, extent=extent)
    return _ring_forward(call.ring, add_keys, q, k, v, mask)


def _ring_forward(ring: Ring, add_keys: Any, q, k, v, mask) -> Carry:
    """One call per hop; the keys of the next hop set out before the call."""
    keys, carry = {0: [k, v]}, None  # keys by shift
    parts = _Parts(mask, ring)
    for hop, next_hop in _with_next(ring.hops):
        if carry is not None:
            keys[hop.shift], carry = _after(keys[hop.shift], carry)
        if next_hop is not None:
            keys[next_hop.shift] = ring.send(keys[next_hop.before], next_hop.pairs)
        part = parts.of(hop, slice(0, k.shape[2]))
        dtype = q.dtype if next_hop is None else jnp.float32
        carry = add_keys(q, *keys[hop.shift], part, carry, dtype=dtype)
    assert carry is not None  # there is always hop 0
    return carry


def _ring_backward(ring: Ring, share: Any, q, k, v, mask, rows):
    """(dq, dk, dv) in float32; `rows` is (do, lse, di) of the queries."""
    # Not before the forward pass, and not what it received: XLA would hold on to that.
    own_keys, (do, lse, di) = _after([k, v], rows)
    parts = _Parts(mask, ring)
    keys, dq, dkv, last = {0: own_keys}, None, None, None
    mail, own_dkv = _Mail(ring), []
    for (hop, part), next_visit in _with_next(_visits(ring.hops, k.shape[2])):
        if last is not None:
            (keys[hop.shift], dkv), dq = _after((keys[hop.shift], dkv), dq)
            mail.send(last, dkv)
        if next_visit is not None and (next_hop := next_visit[0]).shift:
            keys[next_hop.shift] = ring.send(keys[next_hop.before], next_hop.pairs)
        k_part, v_part = keys[hop.shift][0][:, :, part], keys[hop.shift][1][..., part]
        mask_part = parts.of(hop, part)
        more, *dkv = share(q, k_part, v_part, mask_part, do, lse, di)
        dq = more if dq is None else dq + more
        dkv = _sum([dkv, *mail.passed.pop(hop.shift, [])])
        own_dkv += [] if hop.shift else [dkv]
        last = hop
    assert dq is not None  # own keys are always met
    own_dk, own_dv = zip(*own_dkv, strict=True)
    own = [jnp.concatenate(own_dk, axis=2), jnp.concatenate(own_dv, axis=3)]
    return dq, *_sum([own, *mail.returned])


class _Mail:
    """Gradients of keys on their way: `passed` to a hop's shift, `returned` to the owner."""

    def __init__(self, ring: Ring):
        self.ring = ring
        self.passed: dict[int, list[list[Array]]] = {}
        self.returned: list[list[Array]] = []

    def send(self, hop: Hop, dkv: list[Array]) -> None:
        """Passes on, or home, the gradient of the keys met at `hop`; own ones stay."""
        for further in self.ring.after(hop):
            self.passed[further.shift] = [self.ring.send(dkv, further.pairs)]
        if hop.home:
            self.returned.append(self.ring.send(dkv, hop.home))


def _after(arrays: Any, result: Any) -> tuple[Any, Any]:
    """Both, as they are; but no use of `arrays` may be scheduled before `result`."""
    return jax.lax.optimization_barrier((arrays, result))


def _visits(hops: tuple[Hop, ...], num_keys: int) -> list[tuple[Hop, slice]]:
    """The hops, and which of their keys to meet: own ones before and after all others."""
    own, *others = hops
    if not others or num_keys < 2:
        return [(hop, slice(0, num_keys)) for hop in hops]
    whole_blocks = min(2048, 2 ** int(np.log2(num_keys // 2)))
    half = num_keys // 2 // whole_blocks * whole_blocks
    return [
        (own, slice(0, half)),
        *((hop, slice(0, num_keys)) for hop in others),
        (own, slice(half, num_keys)),
    ]


class _Parts:
    """The mask of a whole ring, and what each device needs of it at each hop."""

    def __init__(self, mask: Mask | None, ring: Ring):
        self.ring = ring
        self.static = mask if mask is not None and mask.is_static else None
        self.mask = jax.tree.map(jnp.asarray, mask)  # once in the program

    def of(self, hop: Hop, part: slice) -> Mask | None:
        """This device's queries against a part of the keys that it meets at `hop`."""
        if self.mask is None:
            return None
        mine = self._cut(self.mask, self.ring.place(), hop, part)
        if self.static is None:
            return mine
        places = range(self.ring.size)
        known = [self._cut(self.static, place, hop, part) for place in places]
        return replace(mine, one_of=Masks(known))

    def _cut(self, mask: Mask, place: Any, hop: Hop, part: slice) -> Mask:
        """What the device at `place` needs."""
        num_q, num_kv = (
            x.shape[2] // self.ring.size for x in (mask.q_RFN, mask.kv_RFS)
        )
        first_kv = (place - hop.shift) % self.ring.size * num_kv + part.start
        return replace(
            mask,
            q_RFN=_cut(mask.q_RFN, place * num_q, num_q),
            kv_RFS=_cut(mask.kv_RFS, first_kv, part.stop - part.start),
        )


def _cut(x_RFN: Tensor, start: Any, tokens: int) -> Tensor:
    if isinstance(x_RFN, np.ndarray):
        return x_RFN[..., start : start + tokens]
    return jax.lax.dynamic_slice_in_dim(x_RFN, start, tokens, axis=2)


def _with_next(items: Sequence[Any]) -> Iterator[tuple[Any, Any]]:
    """Each with the one that follows it, None at the end."""
    return zip(items, [*items[1:], None], strict=True)


def _sum(gradients: list[list[Array]]) -> list[Array]:
    """The sums of the first arrays, the second ones, .."""
    return [
        functools.reduce(jnp.add, arrays) for arrays in zip(*gradients, strict=True)
    ]
