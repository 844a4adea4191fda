"""Attention on a mesh: batch over (replica, fsdp), tokens over context, heads over tensor.

Rows and heads need no exchange; tokens do. The axis `context` is factored into ulysses u x
ring r. Device p of the axis is number p % u of group p // u. The u neighbours of a group
swap heads for tokens (ulysses.py), so that each holds N / r consecutive tokens; the groups
are the places of a ring (ring.py). With x bytes in a device's share of q, of k, of v and
of o, a device sends

    ulysses  4 (1 - 1 / u) x        ring  2 (r - 1) x

forward: ulysses sends far less, a ring hides what it sends behind compute. By default u is
the greatest that divides both the heads of a tensor shard and context, so that any number
of heads works.

Rows that are groups of a sample's tokens are many: they are cut over context too, their
tokens are not, and nothing is exchanged.

Tokens that do not divide over context are padded at the end. Without a ring or a mask the
kernel is told how many keys count, or does not see the others; in a ring one more feature of
the mask keeps the padded keys from being attended. A mask stays static as long as all
devices need the same one, and a static mask tells the ring which transfers are not needed
(exchange.py).
"""

import math
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AbstractMesh, Mesh, PartitionSpec

from videogen.core.errors import ConfigError
from videogen.core.types import Array
from videogen.ops.attention.exchange import Ring, make_ring
from videogen.ops.attention.local import Kernel
from videogen.ops.attention.mask import Mask, both, first_keys, repeat_last
from videogen.ops.attention.ring import attend
from videogen.ops.attention.steps import classify
from videogen.ops.attention.ulysses import Ulysses, repeat_heads
from videogen.parallel.mesh import divisors

BATCH, CONTEXT, TENSOR = ("replica", "fsdp"), "context", "tensor"


def partitioned(
    kernel: Kernel,
    mesh: Mesh | AbstractMesh,
    q_BKEN: Array,
    k_BGSE: Array,
    v_BGES: Array,
    mask: Mask | None,
    *,
    scale: float,
    logit_bound: float | None = None,
    ulysses: int | None = None,
    ring: int | None = None,
    kv_replicated: bool = False,
    grouped: bool = False,
    num_kv: int | None = None,
) -> Array:
    """o_BKEN as `ring.attend` gives it on one device, computed by the devices of `mesh`.

    Args:
      mesh: with axes named as in parallel/mesh.py; those it lacks count as size 1.
      ulysses, ring: the factors of `context`; see `factor_context` for the default.
      kv_replicated: k and v are whole on every device of `context` (text): then nothing is
        exchanged but, backward, the sum of their gradients.
      grouped: rows are cut over `context` too, and tokens are whole.
      num_kv: of calls without a mask: keys that count, the others are padding.

    Raises ConfigError for rows, heads or factors that do not divide.
    """
    batch = (*BATCH, CONTEXT) if grouped else BATCH
    context = 1 if grouped else _size(mesh, CONTEXT)
    tensor = _size(mesh, TENSOR)
    _check_rows(mesh, batch, q_BKEN.shape[0])
    _check_heads(q_BKEN.shape[1], tensor)
    u, r = 1, 1
    if not grouped:
        u, r = factor_context(q_BKEN.shape[1] // tensor, context, ulysses, ring)
    if kv_replicated:
        u, r = 1, 1
    num_kv = k_BGSE.shape[2] if num_kv is None else num_kv
    q = _pad(q_BKEN, 3, context)
    k, v = (repeat_heads(x, tensor) for x in (k_BGSE, v_BGES))
    if not kv_replicated:
        k, v = _pad(k, 2, context), _pad(v, 3, context)
    if r > 1 or kv_replicated:
        real = k.shape[2] if kv_replicated else num_kv
        mask = _pad_mask(mask, q.shape[3], k.shape[2], real)
    row_major = getattr(kernel, "is_compiled", False)
    static = mask is not None and _is_one_for_all(mask, mesh, batch, kv_replicated)
    local = _Local(
        kernel=kernel,
        scale=scale,
        logit_bound=logit_bound,
        swap=Ulysses(axis=CONTEXT, size=context, count=u, row_major=row_major),
        ring=make_ring(CONTEXT, r, u, _live(mask, r)) if r > 1 else None,
        num_q=q_BKEN.shape[3],
        num_kv=num_kv,
        static_mask=mask if static else None,
    )
    qkv_specs, mask_spec = _specs(mesh, mask, batch, kv_replicated)
    run = jax.shard_map(
        local,
        mesh=mesh,
        in_specs=(*qkv_specs, PartitionSpec() if static else mask_spec),
        out_specs=qkv_specs[0],
        check_vma=False,  # Pallas kernels and all-to-alls in groups have no such types
    )
    o_BKEN = run(q, k, v, None if static else mask)
    return o_BKEN[..., : q_BKEN.shape[3]]


def factor_context(
    heads: int, context: int, ulysses: int | None = None, ring: int | None = None
) -> tuple[int, int]:
    """(ulysses, ring), whose product is `context` and of which ulysses divides `heads`.

    heads: query heads of one tensor shard. By default ulysses is gcd(heads, context), or
        what `ring` leaves. Raises ConfigError if there are no such factors.
    """
    fits = divisors(math.gcd(heads, context))
    if ulysses is None:
        ulysses = math.gcd(heads, context) if ring is None else max(1, context // ring)
    ring = max(1, context // ulysses) if ring is None else ring
    if ulysses * ring != context:
        raise ConfigError(
            f"attention: ulysses={ulysses} x ring={ring} is {ulysses * ring}, but "
            f"mesh.context={context}; ulysses one of {fits}, and ring left out, would work"
        )
    if heads % ulysses:
        raise ConfigError(
            f"attention: ulysses={ulysses} does not divide the {heads} heads of a tensor "
            f"shard; one of {fits} would work"
        )
    return ulysses, ring


@dataclass(frozen=True, kw_only=True, eq=False)
class _Local:
    """What one device does with its share; num_q: as given; num_kv: keys that count."""

    kernel: Kernel
    scale: float
    logit_bound: float | None
    swap: Ulysses
    ring: Ring | None
    num_q: int
    num_kv: int
    static_mask: Mask | None

    def __call__(self, q: Array, k: Array, v: Array, mask: Mask | None) -> Array:
        q, k, v = self.swap.gather_tokens(q, k, v)
        mask = self.static_mask if mask is None else mask
        tokens, num_kv = q.shape[3], None
        if self.ring is None:  # all tokens are here, with the padding last
            q = q[..., : self.num_q]
            num_kv = self.num_kv if self.num_kv < k.shape[2] else None
            if mask is not None:
                k, v, num_kv = k[:, :, :num_kv], v[..., :num_kv], None
        o = attend(
            *(self.kernel, q, k, v, mask),
            scale=self.scale,
            logit_bound=self.logit_bound,
            ring=self.ring,
            num_kv=num_kv,
        )
        return self.swap.scatter_tokens(_pad(o, 3, tokens))


def _specs(
    mesh: Mesh | AbstractMesh,
    mask: Mask | None,
    batch: tuple[str, ...],
    kv_replicated: bool,
) -> tuple[Any, Any]:
    """((of q, of k, of v), of the mask): how each is cut."""
    rows = tuple(axis for axis in batch if axis in mesh.shape)
    tokens = CONTEXT if CONTEXT in mesh.shape and CONTEXT not in batch else None
    heads = TENSOR if TENSOR in mesh.shape else None
    of_kv = None if kv_replicated else tokens
    qkv = (
        PartitionSpec(rows, heads, None, tokens),
        PartitionSpec(rows, heads, of_kv, None),
        PartitionSpec(rows, heads, None, of_kv),
    )
    if mask is None:
        return qkv, PartitionSpec()
    mask_rows = rows if mask.q_RFN.shape[0] > 1 else None
    # Of whole rings and groups, but where each device has its own queries and all keys.
    of_q = PartitionSpec(mask_rows, None, tokens if kv_replicated else None)
    return qkv, replace(mask, q_RFN=of_q, kv_RFS=PartitionSpec(mask_rows))


def _is_one_for_all(
    mask: Mask,
    mesh: Mesh | AbstractMesh,
    batch: tuple[str, ...],
    kv_replicated: bool,
) -> bool:
    """Whether a static mask stays one: no device needs another part than the others."""
    by_rows = mask.q_RFN.shape[0] > 1 and _num_ways(mesh, batch) > 1
    by_queries = kv_replicated and _size(mesh, CONTEXT) > 1
    return mask.is_static and not by_rows and not by_queries


def _live(mask: Mask | None, places: int) -> np.ndarray | None:
    """Which shard of queries has work with which shard of keys; None: not known."""
    if mask is None or not mask.is_static:
        return None
    N, S = mask.q_RFN.shape[2], mask.kv_RFS.shape[2]
    live_RXY, _ = classify(mask, N, S, N // places, S // places)
    return np.asarray(live_RXY).max(axis=0, keepdims=False)


def _pad(x: Array, dim: int, multiple: int) -> Array:
    """x with zeros at the end of `dim`, up to a multiple."""
    missing = -x.shape[dim] % multiple
    if not missing:
        return x
    return jnp.pad(x, [(0, missing if d == dim else 0) for d in range(x.ndim)])


def _pad_mask(mask: Mask | None, num_q: int, num_kv: int, real_kv: int) -> Mask | None:
    """The mask of padded tokens: a padded query is as the last one, no key is added."""
    if mask is not None:
        mask = replace(
            mask,
            q_RFN=repeat_last(mask.q_RFN, num_q, 2),
            kv_RFS=repeat_last(mask.kv_RFS, num_kv, 2),
        )
    if num_kv == real_kv:
        return mask
    return both(mask, first_keys(num_q, num_kv, real_kv))


def _size(mesh: Mesh | AbstractMesh, axis: str) -> int:
    return mesh.shape.get(axis, 1)


def _num_ways(mesh: Mesh | AbstractMesh, axes: tuple[str, ...]) -> int:
    return math.prod(_size(mesh, axis) for axis in axes)


def _check_rows(mesh: Mesh | AbstractMesh, batch: tuple[str, ...], rows: int) -> None:
    ways = _num_ways(mesh, batch)
    if rows % ways:
        text = " x ".join(f"mesh.{axis}={_size(mesh, axis)}" for axis in batch)
        raise ConfigError(
            f"attention: {rows} batch rows do not divide over {text}; a multiple of {ways} "
            f"would, or axes whose product is one of {divisors(rows)} (and more context)"
        )


def _check_heads(heads: int, tensor: int) -> None:
    if heads % tensor:
        raise ConfigError(
            f"attention: {heads} heads do not divide over mesh.tensor={tensor}; one of "
            f"{divisors(heads)} would work"
        )
