"""Attention across rows of a batch: of `rows` rows in turn, token n attends token n of each.

Frames are rows, places are tokens: attention in time without a transposed token. Only TPUs
have a kernel for it; elsewhere, and where `AttentionPlan.can_cross` says no, the rows are
turned into tokens (nn/groups.py).
"""

import functools
from dataclasses import dataclass
from typing import Any

import jax
from jax.ad_checkpoint import checkpoint_name
from jax.sharding import AbstractMesh, Mesh, PartitionSpec

from videogen.core.types import Array
from videogen.ops.attention.pallas_tpu import across as kernels

MOST_ROWS = 32  # work grows with their square, on the vector units


@dataclass(frozen=True, kw_only=True)
class Across:
    """How it runs. interpret: on the CPU, by Pallas' interpreter."""

    rows: int
    scale: float
    vmem_bytes: int | None = None
    interpret: Any = False

    def __call__(self, q_BKEN: Array, k_BKEN: Array, v_BKEN: Array) -> Array:
        """o_BKEN on one device. Under `jax.checkpoint` the name "attention_o" saves it."""
        return _attend(self, q_BKEN, k_BKEN, v_BKEN)

    def partitioned(
        self, mesh: Mesh | AbstractMesh | None, q: Array, k: Array, v: Array
    ) -> Array:
        """The same on a mesh: groups are cut over (replica, fsdp), heads over tensor."""
        if mesh is None:
            return self(q, k, v)
        batch = tuple(x for x in ("replica", "fsdp") if x in mesh.shape)
        heads = "tensor" if "tensor" in mesh.shape else None
        spec = PartitionSpec(batch, heads)
        run = jax.shard_map(
            self, mesh=mesh, in_specs=(spec,) * 3, out_specs=spec, check_vma=False
        )
        return run(q, k, v)

    def _run(self, function: Any, *operands: Array) -> Any:
        more = {"vmem_bytes": self.vmem_bytes, "interpret": self.interpret}
        return function(*operands, self.rows, self.scale, **more)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _attend(call: Across, q: Array, k: Array, v: Array) -> Array:
    return call._run(kernels.forward, q, k, v)


def _forward_rule(call: Across, q: Array, k: Array, v: Array):
    o = checkpoint_name(call._run(kernels.forward, q, k, v), "attention_o")
    return o, (q, k, v)


def _backward_rule(call: Across, saved: tuple[Array, ...], do: Array):
    return tuple(call._run(kernels.backward, *saved, do))


_attend.defvjp(_forward_rule, _backward_rule)
