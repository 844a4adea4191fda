"""What an implementation must offer on one device, so that rings can be built of it.

Softmax attention over a union of key sets follows from each set's normalised output o and
logsumexp L: the merged L is log(exp L1 + exp L2), the merged o is the mean of o1 and o2
with weights exp(L1 - L), exp(L2 - L). So `forward` takes what earlier keys gave, and
`backward` gives the share of its keys alone, from the final L.
"""

from typing import Any, NamedTuple, Protocol, runtime_checkable

import jax.numpy as jnp

from videogen.core.types import Array
from videogen.ops.attention.mask import Mask

EMPTY = -1e30  # the logsumexp of a row that has met no key; finite, so nothing is NaN


class Carry(NamedTuple):
    """The keys met so far: o_BKEN normalised (0 where none), and lse_BKN in float32."""

    o_BKEN: Array
    lse_BKN: Array


class Extent(NamedTuple):
    """How far the keys that a row meets reach: which exponentials cannot overflow."""

    key_norm_BG: Array  # the greatest norm of a key, float32
    value_BG: Array  # the greatest magnitude of a number in the values, float32

    @classmethod
    def of(cls, k_BGSE: Array, v_BGES: Array) -> "Extent":
        squares = jnp.square(k_BGSE.astype(jnp.float32))
        norm_BGS = jnp.sqrt(jnp.sum(squares, axis=3))
        value_BG = jnp.abs(v_BGES).max(axis=(2, 3)).astype(jnp.float32)
        return cls(norm_BGS.max(axis=2), value_BG)


@runtime_checkable
class Kernel(Protocol):
    """One implementation on one device. Raises NotImplementedError, with the reason.

    One that `skips_padding` takes num_kv too, of calls without a mask: the keys that count.
    Those after them are finite, no query attends them, and their gradients are zeros.
    """

    def check(
        self, q_BKEN: Array, k_BGSE: Array, v_BGES: Array, mask: Mask | None
    ) -> None:
        """Raises NotImplementedError for what this kernel cannot do."""

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
    ) -> Carry:
        """The carry, with these keys met too.

        logit_bound: a promise that no |scale * q.k| exceeds it; None: unknown.
        extent: of all keys that the row meets here, before or later (in a ring, over all
            devices); None: these keys are all there are.
        dtype: of the carry's o; that of q where no more keys follow.
        """
        ...

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
    ) -> tuple[Array, Array, Array]:
        """(dq_BKEN, dk_BGSE, dv_BGES) in `dtype`, the share of these keys.

        lse_BKN: of all keys. di_BKN: the sum over E of do * o, float32.
        """
        ...
