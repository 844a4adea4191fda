"""Attention in memory linear in the tokens, as plain XLA: any backend, any shape, any mask.

Keys and values go by in chunks of J; queries stay whole, so they may be sharded over batch,
tokens and heads and XLA partitions every line without a hint. With the running maximum m,
sum l and unnormalised output o of the chunks so far (Milakov & Gimelshein 2018), a chunk
with scores s updates

    m' = max(m, max_j s),  p = exp(s - m'),  c = exp(m - m')
    l' = c l + sum_j p,    o' = c o + v p            and at the end o / l, L = m + log l.

Earlier keys, known by their normalised o and their L, are a start with m = L and l = 1.
The backward pass is given L, and recomputes p = exp(s - L), whose relative error is the
rounding of L (0.1 % at logits of 1e4); with D = sum_e do o,

    dv = do p^T,  ds = scale * p * (v^T do - D),  dq = k^T ds,  dk = ds q^T.

A score that is not attended becomes MASKED, and the running maximum never falls below
EMPTY, half of it: exp(MASKED - maximum) is exactly 0 whether or not the row has a key.

Zero times NaN is NaN, so a mask alone would not keep a NaN of an excluded key out of the
products. A key whose k or v is not finite is therefore replaced: in the forward pass by
k = NaN, v = 0, which gives NaN to exactly the queries that attend it, their L included;
in the backward pass by k = v = 0, where that L gives NaN to exactly their gradients.

Matrix products take the inputs' dtype and accumulate in float32; the rest is float32.
Letters here: R = K / G query heads per key/value head, J keys of one chunk, A rows of the
mask (B or 1). Scores stand key-major, as on the TPU: no product needs a transpose.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from videogen.core.types import Array
from videogen.ops.attention.local import EMPTY, Carry, Extent
from videogen.ops.attention.mask import Mask

MASKED = 2 * EMPTY
TOKEN_DIMS = (2, 3, 2)  # of k_BGSE, v_BGES and the mask's kv_AFS


@dataclass(frozen=True, kw_only=True)
class XlaKernel:
    """The `local.Kernel` of every backend. Beyond its arguments it needs N * kv_chunk."""

    kv_chunk: int = 512

    uses_extent = False

    def check(
        self, q_BKEN: Array, k_BGSE: Array, v_BGES: Array, mask: Mask | None
    ) -> None:
        """There is nothing that it cannot do."""

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
        """As `local.Kernel`; no use is made of the bounds."""
        q_BGERN = group_heads(q_BKEN, k_BGSE)

        def add_chunk(carry, chunk):
            m_BGRN, l_BGRN, o_BGERN = carry
            k_BGJE, v_BGEJ = _replace_nonfinite(chunk, mask, jnp.nan)
            s_BGJRN = scale * _product("BGJE,BGERN->BGJRN", k_BGJE, q_BGERN)
            s_BGJRN = _keep(s_BGJRN, _attends(chunk, mask), MASKED)
            top_BGRN = jnp.maximum(m_BGRN, jnp.max(s_BGJRN, axis=2, initial=EMPTY))
            p_BGJRN = jnp.exp(s_BGJRN - top_BGRN[:, :, None])
            decay_BGRN = jnp.exp(m_BGRN - top_BGRN)
            l_BGRN = decay_BGRN * l_BGRN + jnp.sum(p_BGJRN, axis=2)
            p_BGJRN = p_BGJRN.astype(v_BGEJ.dtype)
            vp_BGERN = _product("BGEJ,BGJRN->BGERN", v_BGEJ, p_BGJRN)
            return (top_BGRN, l_BGRN, decay_BGRN[:, :, None] * o_BGERN + vp_BGERN), None

        start = _start(q_BGERN, k_BGSE, carry)
        chunks = (k_BGSE, v_BGES, _key_features(mask))
        end, _ = _over_chunks(add_chunk, start, chunks, self.kv_chunk)
        m_BGRN, l_BGRN, o_BGERN = end
        # l = 0 where the row met no key: o is 0 there.
        has_keys_BGRN = l_BGRN != 0
        l_BGRN = jnp.where(has_keys_BGRN, l_BGRN, 1.0)
        lse_BGRN = jnp.where(has_keys_BGRN, m_BGRN + jnp.log(l_BGRN), EMPTY)
        o_BGERN = (o_BGERN / l_BGRN[:, :, None]).astype(dtype)
        return Carry(ungroup_heads(o_BGERN), lse_BGRN.reshape(_row_shape(q_BKEN)))

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
        """As `local.Kernel`."""
        q_BGERN, do_BGERN = (group_heads(x, k_BGSE) for x in (q_BKEN, do_BKEN))
        B, G, _, R, N = q_BGERN.shape
        # +1e30 instead of EMPTY: p = 0 for every key of a row without keys.
        lse_BKN = jnp.where(lse_BKN == EMPTY, -EMPTY, lse_BKN)
        lse_BG1RN, di_BG1RN = (x.reshape(B, G, 1, R, N) for x in (lse_BKN, di_BKN))

        def add_chunk(dq_BGERN, chunk):
            k_BGJE, v_BGEJ = _replace_nonfinite(chunk, mask, 0.0)
            attends = _attends(chunk, mask)
            s_BGJRN = scale * _product("BGJE,BGERN->BGJRN", k_BGJE, q_BGERN)
            p_BGJRN = _keep(jnp.exp(s_BGJRN - lse_BG1RN), attends, 0.0)
            dp_BGJRN = _product("BGEJ,BGERN->BGJRN", v_BGEJ, do_BGERN)
            ds_BGJRN = _keep(scale * p_BGJRN * (dp_BGJRN - di_BG1RN), attends, 0.0)
            p_BGJRN, ds_BGJRN = (x.astype(q_BKEN.dtype) for x in (p_BGJRN, ds_BGJRN))
            dv_BGEJ = _product("BGERN,BGJRN->BGEJ", do_BGERN, p_BGJRN)
            dk_BGJE = _product("BGJRN,BGERN->BGJE", ds_BGJRN, q_BGERN)
            dq_BGERN = dq_BGERN + _product("BGJE,BGJRN->BGERN", k_BGJE, ds_BGJRN)
            return dq_BGERN, (dk_BGJE.astype(dtype), dv_BGEJ.astype(dtype))

        start = jnp.zeros(q_BGERN.shape, jnp.float32)
        chunks = (k_BGSE, v_BGES, _key_features(mask))
        dq_BGERN, dkv = _over_chunks(add_chunk, start, chunks, self.kv_chunk)
        return ungroup_heads(dq_BGERN.astype(dtype)), *dkv


def _product(dims: str, a: Array, b: Array) -> Array:
    """An einsum of the operands' dtype, accumulated in float32."""
    product = partial(jnp.einsum, dims, preferred_element_type=jnp.float32)
    if a.dtype == jnp.float32:
        return product(a, b)

    def in_float32(a, b):
        return product(a.astype(jnp.float32), b.astype(jnp.float32))

    # XLA for CPUs lacks bfloat16 products of some layouts. In float32 they are the same.
    return jax.lax.platform_dependent(a, b, cpu=in_float32, default=product)


def group_heads(x_BKEN: Array, k_BGSE: Array) -> Array:
    """x_BGERN: the R = K / G query heads that share each key/value head, together."""
    B, K, E, N = x_BKEN.shape
    G = k_BGSE.shape[1]
    return jnp.swapaxes(x_BKEN.reshape(B, G, K // G, E, N), 2, 3)


def ungroup_heads(x_BGERN: Array) -> Array:
    """x_BKEN, the inverse of `group_heads`."""
    B, G, E, R, N = x_BGERN.shape
    return jnp.swapaxes(x_BGERN, 2, 3).reshape(B, G * R, E, N)


def _row_shape(q_BKEN: Array) -> tuple[int, ...]:
    B, K, _, N = q_BKEN.shape
    return B, K, N


def _start(q_BGERN: Array, k_BGSE: Array, carry: Carry | None) -> tuple[Array, ...]:
    """m_BGRN, l_BGRN, o_BGERN before the first chunk."""
    B, G, E, R, N = q_BGERN.shape
    if carry is None:
        empty_BGRN = jnp.full((B, G, R, N), EMPTY, jnp.float32)
        zeros_BGERN = jnp.zeros((B, G, E, R, N), jnp.float32)
        return empty_BGRN, jnp.zeros_like(empty_BGRN), zeros_BGERN
    m_BGRN = carry.lse_BKN.reshape(B, G, R, N)
    o_BGERN = group_heads(carry.o_BKEN, k_BGSE).astype(jnp.float32)
    return m_BGRN, (m_BGRN != EMPTY).astype(jnp.float32), o_BGERN


def _key_features(mask: Mask | None) -> Array | None:
    """kv_AFS as something that XLA does not fold into the constant (A, S, N) mask."""
    if mask is None:
        return None
    return jax.lax.optimization_barrier(jnp.asarray(mask.kv_RFS))


def _attends(chunk: Any, mask: Mask | None) -> Array | None:
    """Boolean (A, 1, J, 1, N): which query attends which key of the chunk; None: all."""
    if mask is None:
        return None
    attends_ANJ = replace(mask, kv_RFS=chunk[2]).attends()
    return jnp.swapaxes(attends_ANJ, 1, 2)[:, None, :, None]


def _keep(x_BGJRN: Array, attends: Array | None, other: float) -> Array:
    return x_BGJRN if attends is None else jnp.where(attends, x_BGJRN, other)


def _replace_nonfinite(chunk, mask: Mask | None, k_value: float):
    """k_BGJE, v_BGEJ with `k_value` and 0 for keys that are not finite (under a mask)."""
    k_BGJE, v_BGEJ, _ = chunk
    if mask is None:
        return k_BGJE, v_BGEJ
    fine_BGJ = jnp.isfinite(k_BGJE).all(axis=3) & jnp.isfinite(v_BGEJ).all(axis=2)
    k_BGJE = jnp.where(fine_BGJ[..., None], k_BGJE, k_value)
    return k_BGJE, jnp.where(fine_BGJ[:, :, None], v_BGEJ, 0)


def _over_chunks(step: Callable, carry: Any, kv: Any, kv_chunk: int) -> tuple[Any, Any]:
    """Fold `step` over chunks of the tokens: whole chunks in one scan, then what is left.

    The rest is a shorter chunk of its own: nothing is padded and so nothing is masked.
    Arrays in `kv`, and those that `step` gives out, have their tokens at TOKEN_DIMS.
    """
    S = kv[0].shape[TOKEN_DIMS[0]]
    if S <= kv_chunk:
        return step(carry, kv)
    whole = S - S % kv_chunk

    def split(x, dim):
        x = jax.lax.slice_in_dim(x, 0, whole, axis=dim)
        x = x.reshape(*x.shape[:dim], -1, kv_chunk, *x.shape[dim + 1 :])
        return jnp.moveaxis(x, dim, 0)

    def join(x, dim):
        x = jnp.moveaxis(x, 0, dim)
        return x.reshape(*x.shape[:dim], whole, *x.shape[dim + 2 :])

    carry, out = jax.lax.scan(step, carry, _each(split, kv))
    out = _each(join, out)
    if whole == S:
        return carry, out
    rest = _each(lambda x, dim: jax.lax.slice_in_dim(x, whole, S, axis=dim), kv)
    carry, out_of_rest = step(carry, rest)
    if out is None:
        return carry, None
    pairs = zip(out, out_of_rest, TOKEN_DIMS, strict=False)
    return carry, tuple(jnp.concatenate([a, b], dim) for a, b, dim in pairs)


def _each(function: Callable, arrays: Any) -> Any:
    """`function(array, its token dim)` for each array that is there."""
    if arrays is None:
        return None
    pairs = zip(arrays, TOKEN_DIMS, strict=False)
    return tuple(None if x is None else function(x, dim) for x, dim in pairs)
