"""The entry to attention: checks the arguments, then picks an implementation."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp

from videogen.core.errors import ConfigError, suggest
from videogen.core.types import Array
from videogen.ops.attention import reference, xla


@dataclass(frozen=True, kw_only=True)
class AttentionPlan:
    """How attention runs; models hold one and call it. Hashable, knows no array.

    implementation: a name, names in order of preference, or None for the default order.
    kv_chunk: keys per step of the "xla" implementation, whose memory is N * kv_chunk.
    """

    implementation: str | tuple[str, ...] | None = None
    kv_chunk: int = 512

    def __post_init__(self):
        for name in _names(self):
            if name not in IMPLEMENTATIONS:
                raise ConfigError(
                    f"attention implementation {name!r} does not exist"
                    + suggest(name, IMPLEMENTATIONS)
                )
        if self.kv_chunk < 1:
            raise ConfigError(f"attention kv_chunk={self.kv_chunk} must be at least 1")

    def __call__(
        self,
        q_BNKE: Array,
        k_BSGE: Array,
        v_BSGE: Array,
        *,
        q_segments_BN: Array | None = None,
        kv_segments_BS: Array | None = None,
        scale: float | None = None,
    ) -> Array:
        """As `attention`, run as this plan says."""
        _check_heads(q_BNKE, k_BSGE, v_BSGE)
        _check_segments(q_BNKE, k_BSGE, q_segments_BN, kv_segments_BS)
        scale = q_BNKE.shape[-1] ** -0.5 if scale is None else scale
        reasons = []
        for name in _names(self):
            try:
                return IMPLEMENTATIONS[name](
                    self, q_BNKE, k_BSGE, v_BSGE, q_segments_BN, kv_segments_BS, scale
                )
            except NotImplementedError as reason:
                reasons.append(f"{name}: {reason}")
        raise ConfigError(f"no attention implementation fits: {'; '.join(reasons)}")


def attention(
    q_BNKE: Array,
    k_BSGE: Array,
    v_BSGE: Array,
    *,
    q_segments_BN: Array | None = None,
    kv_segments_BS: Array | None = None,
    scale: float | None = None,
    implementation: str | Sequence[str] | None = None,
) -> Array:
    """Softmax attention without dropout: o_BNKE, in the dtype of q.

    Args:
      q_BNKE: queries, bfloat16, float16 or float32.
      k_BSGE: keys; G divides K, and query head h reads key/value head h // (K / G).
      v_BSGE: values.
      q_segments_BN: integer ids. A query attends a key iff their ids are equal (None: all);
        a row with no key gives zeros, and zero gradients.
      kv_segments_BS: integer ids of the keys; given together with `q_segments_BN`.
      scale: of the scores; 1 / sqrt(E) by default.
      implementation: "reference", "xla", or several in order of preference; None: default.

    Raises:
      ValueError: arrays that do not fit together.
      ConfigError: an implementation that does not exist, or none that can do this; with
        the reason of each.
    """
    if implementation is not None and not isinstance(implementation, str):
        implementation = tuple(implementation)
    return AttentionPlan(implementation=implementation)(
        q_BNKE,
        k_BSGE,
        v_BSGE,
        q_segments_BN=q_segments_BN,
        kv_segments_BS=kv_segments_BS,
        scale=scale,
    )


def _reference(plan, q, k, v, q_segments, kv_segments, scale):
    return reference.attention(q, k, v, q_segments, kv_segments, scale=scale)


def _xla(plan, q, k, v, q_segments, kv_segments, scale):
    return xla.attention(q, k, v, q_segments, kv_segments, scale, plan.kv_chunk)


# Each raises NotImplementedError, with the reason, for what it cannot do.
IMPLEMENTATIONS: dict[str, Callable[..., Any]] = {
    "xla": _xla,
    "reference": _reference,
}
DEFAULT_ORDER = ("xla",)


def _names(plan: AttentionPlan) -> tuple[str, ...]:
    match plan.implementation:
        case None:
            return DEFAULT_ORDER
        case str(name):
            return (name,)
        case names:
            return tuple(names)


def _check_heads(q: Array, k: Array, v: Array) -> None:
    for name, x, shape in (
        ("q", q, "B, N, K, E"),
        ("k", k, "B, S, G, E"),
        ("v", v, "B, S, G, E"),
    ):
        if x.ndim != 4:
            raise ValueError(
                f"attention: {name} has shape {x.shape}; needs 4 dims ({shape})"
            )
        if x.dtype not in (jnp.bfloat16, jnp.float16, jnp.float32):
            raise ValueError(
                f"attention: {name} is {x.dtype}; cast it to bfloat16, float16 or float32"
            )
    if k.shape != v.shape:
        raise ValueError(f"attention: k {k.shape} and v {v.shape} need the same shape")
    if q.shape[0] != k.shape[0]:
        raise ValueError(
            f"attention: q {q.shape} and k {k.shape} need the same batch size"
        )
    if q.shape[3] != k.shape[3]:
        raise ValueError(
            f"attention: q {q.shape} and k {k.shape} need the same head dim"
        )
    if not k.shape[2] or q.shape[2] % k.shape[2]:
        raise ValueError(
            f"attention: {k.shape[2]} key/value heads do not divide {q.shape[2]} query heads"
        )
    if not q.dtype == k.dtype == v.dtype:
        raise ValueError(
            f"attention: q, k, v are {q.dtype}, {k.dtype}, {v.dtype}; cast them to one dtype"
        )


def _check_segments(q: Array, k: Array, q_segments, kv_segments) -> None:
    if (q_segments is None) != (kv_segments is None):
        raise ValueError(
            "attention: give both q_segments_BN and kv_segments_BS, or neither"
        )
    for name, ids, x in (
        ("q_segments_BN", q_segments, q),
        ("kv_segments_BS", kv_segments, k),
    ):
        if ids is None:
            continue
        if ids.shape != x.shape[:2]:
            raise ValueError(
                f"attention: {name} has shape {ids.shape}; needs {x.shape[:2]}"
            )
        if not jnp.issubdtype(ids.dtype, jnp.integer):
            raise ValueError(f"attention: {name} is {ids.dtype}; needs integer ids")
