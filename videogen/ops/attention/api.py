"""The entry to attention: checks the arguments, then picks an implementation.

The core layout, which kernels take and projections can write, is q_BKEN, k_BGSE, v_BGES ->
o_BKEN: `attention_transposed`. `attention` takes and gives (batch, tokens, heads, head
dim), at the price of four transposes.
"""

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import Mesh

from videogen.core.errors import ConfigError, suggest
from videogen.core.types import Array
from videogen.ops.attention import (
    arguments,
    cudnn,
    partition,
    patterns,
    reference,
    ring,
)
from videogen.ops.attention.across import MOST_ROWS, Across
from videogen.ops.attention.local import Kernel
from videogen.ops.attention.mask import Mask, Tensor, both, first_keys
from videogen.ops.attention.pallas_tpu import Blocks, PallasTpuKernel
from videogen.ops.attention.pallas_tpu.tuning import RESERVED
from videogen.ops.attention.patterns import Pattern
from videogen.ops.attention.xla import XlaKernel
from videogen.parallel.chips import Chip, chip_of_kind, find_chip

QKV = tuple[Array, Array, Array]


@dataclass(frozen=True, kw_only=True)
class AttentionPlan:
    """How attention runs; models hold one and call it. Hashable, holds no array.

    implementation: a name, a kernel, or several in order of preference; None: what suits
        the platform.
    kv_chunk: keys per step of the "xla" implementation, whose memory is N * kv_chunk.
    pattern: which tokens attend which, by their coordinates; None: all.
    mesh: the devices the arrays are cut over; None: one, or whatever XLA makes of it.
    grouped: rows are groups of tokens, cut over the mesh's context axis; tokens are whole.
    ulysses, ring: factors of the mesh's context axis; None: as `partition` chooses.
    blocks: sizes of the forward and of the backward Pallas kernel; None: tuned ones.
    max_steps: room for a Pallas kernel's list of blocks, of a mask known at run time only;
        an output whose list needs more is NaN. None: room for all.
    chip: compile for this TPU, which need not be there; None: the one that is.
    """

    implementation: str | Kernel | tuple[str | Kernel, ...] | None = None
    kv_chunk: int = 512
    pattern: Pattern | None = None
    mesh: Mesh | None = None
    grouped: bool = False
    ulysses: int | None = None
    ring: int | None = None
    blocks: tuple[Blocks, Blocks] | None = None
    max_steps: int | None = None
    chip: str | None = None

    def __post_init__(self):
        for name in _preferred(self):
            if isinstance(name, str) and name not in IMPLEMENTATIONS:
                raise ConfigError(
                    f"attention implementation {name!r} does not exist"
                    + suggest(name, IMPLEMENTATIONS)
                )
        for field in ("kv_chunk", "ulysses", "ring", "max_steps"):
            value = getattr(self, field)
            if value is not None and value < 1:
                raise ConfigError(f"attention {field}={value} must be at least 1")
            if field in ("ulysses", "ring") and value is not None and self.mesh is None:
                raise ConfigError(f"attention {field}={value} needs a mesh")
        if self.chip is not None:
            find_chip(self.chip)

    @property
    def context(self) -> int:
        """Devices of the mesh's context axis."""
        return 1 if self.mesh is None else self.mesh.shape.get("context", 1)

    def moves_tiles(self, num_heads: int) -> bool:
        """Whether tokens are best cut in tiles: on TPUs, where heads alone are swapped."""
        if self.mesh is None or _platform(self) != "tpu":
            return False
        heads = num_heads // self.mesh.shape.get("tensor", 1)
        factors = self.context, self.ulysses, self.ring
        return partition.factor_context(heads, *factors)[1] == 1

    def __call__(
        self, q_BNKE: Array, k_BSGE: Array, v_BSGE: Array, **keywords: Any
    ) -> Array:
        """o_BNKE; the keywords are those of `transposed`."""
        arguments.check_heads(q_BNKE, k_BSGE, v_BSGE, arguments.WRAPPER)
        o_BKEN = self.transposed(
            jnp.transpose(q_BNKE, (0, 2, 3, 1)),
            jnp.transpose(k_BSGE, (0, 2, 1, 3)),
            jnp.transpose(v_BSGE, (0, 2, 3, 1)),
            **keywords,
        )
        return jnp.transpose(o_BKEN, (0, 3, 1, 2))

    def transposed(
        self,
        q_BKEN: Array,
        k_BGSE: Array,
        v_BGES: Array,
        *,
        q_coords_BN4: Tensor | None = None,
        kv_coords_BS4: Tensor | None = None,
        q_segments_BN: Tensor | None = None,
        kv_segments_BS: Tensor | None = None,
        scale: float | None = None,
        logit_bound: float | None = None,
        kv_replicated: bool = False,
        num_kv: int | None = None,
    ) -> Array:
        """o_BKEN; as `attention_transposed`, run as this plan says.

        kv_replicated: keys are not cut over the mesh's context axis (a text, say).
        num_kv: keys that count, 1 to S; no query attends the finite padding after them.
        """
        arguments.check_heads(q_BKEN, k_BGSE, v_BGES, arguments.CORE)
        B, _, E, N = q_BKEN.shape
        S = k_BGSE.shape[2]
        arguments.check_tokens("coords", (q_coords_BN4, kv_coords_BS4), B, (N, S))
        arguments.check_tokens("segments", (q_segments_BN, kv_segments_BS), B, (N, S))
        scale = 1 / math.sqrt(E) if scale is None else scale
        arguments.check_numbers(scale, logit_bound)
        mask = _mask(
            self.pattern, q_coords_BN4, kv_coords_BS4, q_segments_BN, kv_segments_BS
        )
        arguments.check_num_kv(num_kv, S)
        num_kv = None if num_kv == S else num_kv
        if mask is not None and num_kv is not None:
            mask, num_kv = both(mask, first_keys(N, S, num_kv)), None
        return _first_that_fits(
            self,
            (q_BKEN, k_BGSE, v_BGES),
            mask,
            scale=scale,
            logit_bound=logit_bound,
            kv_replicated=kv_replicated,
            num_kv=num_kv,
        )

    def can_cross(self, rows: int) -> bool:
        """Whether `across` runs for groups of so many rows: only on TPUs, and of few."""
        chosen = _preferred(self)
        may = not chosen or chosen[0] == "pallas_tpu"
        known = _platform(self) == "tpu" and _chip(self) is not None
        return may and known and self.context == 1 and rows <= MOST_ROWS

    def across(
        self, q_BKEN: Array, k_BKEN: Array, v_BKEN: Array, rows: int, scale: float
    ) -> Array:
        """o_BKEN: of `rows` rows in turn, token n attends token n of each. See `across`."""
        chip = _chip(self)
        vmem_bytes = chip and chip.vmem_bytes - RESERVED
        run = Across(rows=rows, scale=scale, vmem_bytes=vmem_bytes)
        return run.partitioned(self.mesh, q_BKEN, k_BKEN, v_BKEN)


def attention(
    q_BNKE: Array,
    k_BSGE: Array,
    v_BSGE: Array,
    *,
    pattern: Pattern | None = None,
    q_coords_BN4: Tensor | None = None,
    kv_coords_BS4: Tensor | None = None,
    q_segments_BN: Tensor | None = None,
    kv_segments_BS: Tensor | None = None,
    scale: float | None = None,
    logit_bound: float | None = None,
    implementation: str | Kernel | Sequence[str | Kernel] | None = None,
) -> Array:
    """Softmax attention without dropout: o_BNKE, in the dtype of q.

    A query that has no key to attend gives zeros, and zero gradients. A finite key weighs
    exactly nothing where it is excluded, forward and backward. One that is not finite makes
    NaN of the queries that attend it: with "xla" and "reference" of nothing else, with the
    others perhaps of more queries of its batch row. Padding that the library makes never
    shows.

    Args:
      q_BNKE: queries, bfloat16, float16 or float32; E from 1 to 256.
      k_BSGE: keys; G divides K, and query head h reads key/value head h // (K / G).
      v_BSGE: values.
      pattern: which tokens attend which, by their coordinates (see `patterns`); None: all.
      q_coords_BN4: (frame, row, column, fps) of each token, (N, 4) or (B, N, 4). NumPy
        coordinates are known while tracing, which makes the cheaper kernels.
      kv_coords_BS4: those of the keys; both or neither.
      q_segments_BN: integer ids. A query attends a key only if their ids are equal.
      kv_segments_BS: ids of the keys; both or neither.
      scale: of the scores; 1 / sqrt(E) by default. Kernels take exponentials in base 2,
        with the factor scale * log2(e): with scale = ln 2, and log2(e) / sqrt(E) already
        in q (in the weight of its norm, say), the factor is 1 and costs nothing.
      logit_bound: a promise that |scale * <q, k>| is no larger for any query and a key that
        it attends; normed ones have such a bound, |scale| times both largest norms. Only
        "pallas_tpu" reads it: up to 41 (60 / log2(e)) it is taken on trust, and neither
        the data is looked at nor a maximum kept; None and larger ones leave that to the
        kernel. Of values it promises nothing: it is safe while the largest |v| times S is
        below 2^67. Nothing checks it. Scores between about -80 and 80 do no harm even so;
        a query that meets a larger one gives NaN, one whose scores are all smaller gives
        zeros, as if it attended nothing; gradients of q and k are then not finite.
      implementation: "pallas_tpu", "xla", "cudnn", "reference", or several in order of
        preference; None: what suits the platform.

    Raises:
      ValueError: arrays that do not fit together.
      ConfigError: an implementation that does not exist, or none that can do this; with
        the reason of each.
    """
    return _plan(pattern, implementation)(
        q_BNKE,
        k_BSGE,
        v_BSGE,
        q_coords_BN4=q_coords_BN4,
        kv_coords_BS4=kv_coords_BS4,
        q_segments_BN=q_segments_BN,
        kv_segments_BS=kv_segments_BS,
        scale=scale,
        logit_bound=logit_bound,
    )


def attention_transposed(
    q_BKEN: Array,
    k_BGSE: Array,
    v_BGES: Array,
    *,
    pattern: Pattern | None = None,
    implementation: str | Kernel | Sequence[str | Kernel] | None = None,
    **keywords: Any,
) -> Array:
    """o_BKEN: `attention`, with the same keywords, in the layout that kernels take."""
    plan = _plan(pattern, implementation)
    return plan.transposed(q_BKEN, k_BGSE, v_BGES, **keywords)


def _first_that_fits(plan: AttentionPlan, *args: Any, **keywords: Any) -> Array:
    """The attention of the first implementation that can; no slower one in silence."""
    chosen = _preferred(plan)
    reasons = []
    for name in chosen or DEFAULT_ORDER.get(_platform(plan), ("xla",)):
        is_name = isinstance(name, str)
        run = IMPLEMENTATIONS[name] if is_name else partial(_by_kernel, name)
        try:
            o_BKEN = run(plan, *args, **keywords)
        except NotImplementedError as reason:
            reasons.append(f"{_name(name)}: {reason}")
            continue
        if reasons and not chosen:
            why = "; ".join(reasons)
            warnings.warn(f"attention runs as {_name(name)!r}: {why}", stacklevel=3)
        return o_BKEN
    raise ConfigError(f"no attention implementation fits: {'; '.join(reasons)}")


def _reference(plan, qkv: QKV, mask, *, scale, logit_bound, kv_replicated, num_kv):
    return reference.attention(*_counted(qkv, num_kv), mask, scale=scale)


def _cudnn(plan, qkv: QKV, mask, *, scale, logit_bound, kv_replicated, num_kv):
    if plan.context > 1 and not plan.grouped:
        raise NotImplementedError("does not cut tokens over the mesh's context axis")
    return cudnn.attention(*_counted(qkv, num_kv), mask, scale=scale)


def _counted(qkv: QKV, num_kv: int | None) -> QKV:
    q_BKEN, k_BGSE, v_BGES = qkv
    return q_BKEN, k_BGSE[:, :, :num_kv], v_BGES[..., :num_kv]


def _by_kernel(
    kernel: Kernel, plan, qkv: QKV, mask, *, scale, logit_bound, kv_replicated, num_kv
):
    kernel.check(*qkv, mask)
    numbers = {"scale": scale, "logit_bound": logit_bound, "num_kv": num_kv}
    try:
        if plan.mesh is None:
            return ring.attend(kernel, *qkv, mask, **numbers)
        return partition.partitioned(
            kernel,
            plan.mesh,
            *qkv,
            mask,
            ulysses=plan.ulysses,
            ring=plan.ring,
            kv_replicated=kv_replicated,
            grouped=plan.grouped,
            **numbers,
        )
    except NotImplementedError as error:  # a fault: the kernel had agreed
        raise RuntimeError(f"attention: {_name(kernel)} failed: {error}") from error


def _xla(plan, *args, **keywords):
    return _by_kernel(XlaKernel(kv_chunk=plan.kv_chunk), plan, *args, **keywords)


def _pallas_tpu(plan, *args, **keywords):
    blocks, chip = plan.blocks or (None, None), _chip(plan)
    kernel = PallasTpuKernel(
        chip=chip and chip.name,
        forward_blocks=blocks[0],
        backward_blocks=blocks[1],
        max_steps=plan.max_steps,
    )
    return _by_kernel(kernel, plan, *args, **keywords)


# Each raises NotImplementedError, with the reason, for what it cannot do.
IMPLEMENTATIONS: dict[str, Callable[..., Array]] = {
    "pallas_tpu": _pallas_tpu,
    "cudnn": _cudnn,
    "xla": _xla,
    "reference": _reference,
}
DEFAULT_ORDER = {  # by platform; others: "xla"
    "tpu": ("pallas_tpu", "xla"),
    "gpu": ("cudnn", "xla"),
}


def _plan(pattern, implementation) -> AttentionPlan:
    if isinstance(implementation, list):
        implementation = tuple(implementation)
    return AttentionPlan(pattern=pattern, implementation=implementation)


def _preferred(plan: AttentionPlan) -> tuple[str | Kernel, ...]:
    """Empty for None."""
    if isinstance(plan.implementation, tuple):
        return plan.implementation
    return () if plan.implementation is None else (plan.implementation,)


def _name(implementation: str | Kernel) -> str:
    is_name = isinstance(implementation, str)
    return implementation if is_name else type(implementation).__name__


def _platform(plan: AttentionPlan) -> str:
    if plan.chip is not None:
        return "tpu"
    return _device(plan).platform


def _chip(plan: AttentionPlan) -> Chip | None:
    """None for what is not in parallel/chips.py."""
    if plan.chip is not None:
        return find_chip(plan.chip)
    return chip_of_kind(_device(plan).device_kind)


def _device(plan: AttentionPlan) -> Any:
    return jax.devices()[0] if plan.mesh is None else plan.mesh.devices.flat[0]


def _mask(pattern, q_coords, kv_coords, q_segments, kv_segments) -> Mask | None:
    by_pattern = by_segments = None
    if pattern is not None:
        if q_coords is None:
            raise ValueError(
                f"attention: pattern {pattern} needs q_coords_BN4 and kv_coords_BS4"
            )
        by_pattern = pattern.mask(q_coords, kv_coords)
    if q_segments is not None:
        by_segments = patterns.segments_mask(q_segments, kv_segments)
    return both(by_pattern, by_segments)
