"""Pallas kernels for the TPU as one `local.Kernel`: what to run, at which sizes."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial, reduce
from typing import Any

import jax
import jax.numpy as jnp
from jax.experimental.layout import Layout, with_layout_constraint

from videogen.core.errors import ConfigError
from videogen.core.types import Array
from videogen.ops.attention import steps
from videogen.ops.attention.local import Carry, Extent
from videogen.ops.attention.mask import Mask
from videogen.ops.attention.pallas_tpu import bound, tuning
from videogen.ops.attention.pallas_tpu.backward import backward
from videogen.ops.attention.pallas_tpu.blocks import LOG2_E, Blocks
from videogen.ops.attention.pallas_tpu.forward import Mode, forward
from videogen.parallel.chips import CHIPS, Chip, chip_of_kind, find_chip


@dataclass(frozen=True, kw_only=True)
class PallasTpuKernel:
    """Attention on one TPU device.

    chip: a name in parallel/chips.py, to compile for a chip that is not there; None: the
        one that is.
    forward_blocks, backward_blocks: None: tuned ones.
    mode: one mode of the forward kernel, at the caller's risk; None: chosen from the data.
    few_keys: up to so many a look at the data costs more than mode "online", which needs none.
    max_steps: room for the block lists of a dynamic mask; a list that needs more makes the
        output NaN. None: all pairs of blocks.
    max_queries: a longer sequence's backward runs in parts of so many queries; None: as
        many as fit in VMEM.
    interpret: run on the CPU in Pallas' TPU interpreter (pltpu.InterpretParams), slowly.

    Raises ConfigError for max_queries below 1.
    """

    chip: str | None = None
    forward_blocks: Blocks | None = None
    backward_blocks: Blocks | None = None
    mode: Mode | None = None
    few_keys: int = 512
    max_steps: int | None = None
    max_queries: int | None = None
    interpret: Any = False

    uses_extent = True
    skips_padding = True

    @property
    def is_compiled(self) -> bool:
        """For TPUs: there layouts matter."""
        return not self.interpret

    def __post_init__(self):
        if self.max_queries is not None and self.max_queries < 1:
            raise ConfigError(
                f"attention max_queries={self.max_queries} must be at least 1"
            )

    def check(
        self, q_BKEN: Array, k_BGSE: Array, v_BGES: Array, mask: Mask | None
    ) -> None:
        """Raises NotImplementedError for what the kernels cannot do."""
        if q_BKEN.dtype == jnp.float16:
            raise NotImplementedError("the TPU has no float16; cast to bfloat16")
        if not (self.interpret or self.chip or jax.default_backend() == "tpu"):
            raise NotImplementedError("needs a TPU, or chip= to compile for one")
        kind = jax.devices()[0].device_kind
        if not (self.interpret or self.chip or chip_of_kind(kind)):
            raise NotImplementedError(
                f"does not know the TPU {kind!r}, only {', '.join(CHIPS)}: "
                "chip= names the one to compile for"
            )

    def forward(
        self,
        q_BKEN: Array,
        k_BGSE: Array,
        v_BGES: Array,
        mask: Mask | None,
        carry: Carry | None,
        *,
        scale: float,
        logit_bound: float | None = None,
        extent: Extent | None = None,
        dtype: Any = jnp.float32,
        num_kv: int | None = None,
    ) -> Carry:
        """See local.Kernel."""
        chip, shape = self._chip(), _shape(q_BKEN, k_BGSE, dtype, num_kv)
        N, S = shape.N, shape.S
        if self.is_compiled:
            # Else XLA may store keys transposed, and copy them in every branch of a mode.
            k_BGSE = with_layout_constraint(k_BGSE, Layout((0, 1, 2, 3)))

        def choose(mode: str) -> Blocks:
            tuned = partial(tuning.forward_blocks, chip, shape, mask, mode=mode)
            return (self.forward_blocks or tuned()).fit(N, S)

        blocks, room = {mode: choose(mode) for mode in tuning.MODES}, self._room(mask)
        lists = {
            sizes: steps.forward_steps(mask, N, S, sizes.q, sizes.kv, room)
            for sizes in set(blocks.values())
        }

        def run(shift_BK1N: Array | None, mode: Mode) -> Carry:
            return forward(
                q_BKEN,
                k_BGSE,
                v_BGES,
                mask,
                lists[blocks[mode]],
                carry,
                shift_BK1N,
                scale=scale,
                mode=mode,
                blocks=blocks[mode],
                num_kv=S,
                dtype=dtype,
                vmem_bytes=chip.vmem_bytes - tuning.RESERVED,
                interpret=self.interpret,
            )

        o_BKEN, lse_BKN = self._run_mode(
            run,
            *(q_BKEN, k_BGSE[:, :, :S], v_BGES[..., :S]),
            *(mask, scale, logit_bound, extent),
        )
        if room:  # of a mask, whose blocks are those of every mode
            o_BKEN = _nan_where(lists[blocks["none"]].overflow, o_BKEN)
        return Carry(o_BKEN, lse_BKN)

    def backward(
        self,
        q_BKEN: Array,
        k_BGSE: Array,
        v_BGES: Array,
        mask: Mask | None,
        do_BKEN: Array,
        lse_BKN: Array,
        di_BKN: Array,
        *,
        scale: float,
        dtype: Any = jnp.float32,
        num_kv: int | None = None,
    ) -> tuple[Array, Array, Array]:
        """See local.Kernel.

        Beyond the queries whose dq fits in VMEM the kernel runs once for each part of the
        queries, with all keys, and the parts' dk and dv are added in float32.
        """
        chip, shape = self._chip(), _shape(q_BKEN, k_BGSE, dtype, num_kv)
        G, N, S, room = shape.G, shape.N, shape.S, self._room(mask)
        blocks = self.backward_blocks or tuning.backward_blocks(chip, shape, mask)
        blocks = blocks.fit(N, S)
        fit = tuning.queries_in_vmem(chip, shape, blocks, mask)
        most = self.max_queries or max(fit, blocks.q)
        parts = [slice(at, min(at + most, N)) for at in range(0, N, most)]
        whole = len(parts) == 1 and shape.K == G
        run = partial(
            backward,
            scale=scale,
            blocks=blocks,
            vmem_bytes=chip.vmem_bytes - tuning.RESERVED,
            num_kv=S,
            interpret=self.interpret,
        )
        padded = k_BGSE.shape[2]
        dqs, dks, dvs = [], [], []
        for part in parts:
            part_mask = None if mask is None else mask.queries(part)
            num_q = part.stop - part.start
            block_steps = steps.backward_steps(
                part_mask, num_q, S, blocks.q, blocks.kv, room, padded=padded
            )
            dq, dk_BKSE, dv_BKES = run(
                q_BKEN[..., part],
                k_BGSE,
                v_BGES,
                part_mask,
                block_steps,
                do_BKEN[..., part],
                lse_BKN[:, :, None, part],
                di_BKN[:, :, None, part],
                dtype=dtype if whole else jnp.float32,
            )
            dq, dk, dv = (
                _nan_where(block_steps.overflow if room else None, x)
                for x in (dq, dk_BKSE, dv_BKES)
            )
            dqs.append(dq.astype(dtype))
            dks.append(_sum_groups(dk, G))
            dvs.append(_sum_groups(dv, G))
        dq_BKEN = dqs[0] if len(dqs) == 1 else jnp.concatenate(dqs, axis=3)
        dk_BGSE, dv_BGES = (reduce(jnp.add, x).astype(dtype) for x in (dks, dvs))
        return dq_BKEN, dk_BGSE, dv_BGES

    def _chip(self) -> Chip:
        """The one to be compiled for; interpreted, any will do."""
        if self.chip is not None:
            return find_chip(self.chip)
        return chip_of_kind(jax.devices()[0].device_kind) or find_chip("v5p")

    def _room(self, mask: Mask | None) -> int | None:
        """Steps that the list of a dynamic mask may have; None: any, and of other masks."""
        return None if mask is None or mask.is_static else self.max_steps

    def _run_mode(
        self,
        run: Callable[..., Carry],
        q_BKEN: Array,
        k_BGSE: Array,
        v_BGES: Array,
        mask: Mask | None,
        scale: float,
        logit_bound: float | None,
        extent: Extent | None,
    ) -> Carry:
        """The cheapest safe mode: by promise, by the caller's choice, or from the data."""
        promised = logit_bound is not None and logit_bound * LOG2_E <= bound.PROMISED
        few = k_BGSE.shape[2] <= self.few_keys
        if self.mode in ("none", "online") or (self.mode is None and (promised or few)):
            return run(None, mode=self.mode or ("none" if promised else "online"))
        extent = Extent.of(k_BGSE, v_BGES) if extent is None else extent
        largest, row_bound_BKN = (
            bound.largest(extent),
            bound.row_bound(q_BKEN, scale, extent),
        )
        shift_BK1N = (row_bound_BKN - largest)[:, :, None]
        if self.mode == "bounded":
            return run(shift_BK1N, mode="bounded")
        branches = [
            lambda: run(None, mode="online"),
            lambda: run(None, mode="none"),
        ]
        highest = row_bound_BKN.max()
        index = (highest <= largest).astype(jnp.int32)
        if mask is None:
            depth_BKN = row_bound_BKN - bound.row_mean(q_BKEN, k_BGSE, scale)
            is_safe = depth_BKN.max() <= largest + bound.DEEPEST
            is_safe &= highest <= bound.ROUNDABLE
            index = jnp.where((index == 0) & is_safe, 2, index)
            branches.append(lambda: run(shift_BK1N, mode="bounded"))
        return jax.lax.switch(index, branches)


def _shape(
    q_BKEN: Array, k_BGSE: Array, dtype: Any, num_kv: int | None
) -> tuning.Shape:
    _, K, E, N = q_BKEN.shape
    _, G, S, _ = k_BGSE.shape
    sizes = {
        "itemsize": q_BKEN.dtype.itemsize,
        "grad_itemsize": jnp.dtype(dtype).itemsize,
    }
    S = S if num_kv is None else num_kv
    return tuning.Shape(K=K, G=G, E=E, N=N, S=S, **sizes)


def _nan_where(overflow_R: Any, x_BKXX: Array) -> Array:
    """NaN in the rows of the batch (all, for one) whose list of steps was cut short."""
    if not isinstance(overflow_R, jax.Array):
        return x_BKXX
    return jnp.where(overflow_R[:, None, None, None], jnp.nan, x_BKXX)


def _sum_groups(x_BK: Array, num_groups: int) -> Array:
    """Gradients per query head, added over the heads that share a key head."""
    B, K, *rest = x_BK.shape
    if K == num_groups:
        return x_BK
    return x_BK.reshape(B, num_groups, K // num_groups, *rest).sum(2)
