"""Attention on NVIDIA GPUs by cuDNN's fused kernels, through jax.nn."""

from typing import Any, Literal

import jax
import jax.numpy as jnp

from videogen.core.types import Array
from videogen.ops.attention.mask import Mask

# Keys up to which a mask may be written out: cuDNN takes one as a bias of N * S.
MAX_MASKED_KEYS = 1024

# JAX's primitive of the forward kernel. Its logsumexp has no name to be saved by.
FORWARD = "dot_product_attention_fwd_wrapper"


def attention(
    q_BKEN: Array, k_BGSE: Array, v_BGES: Array, mask: Mask | None, *, scale: float
) -> Array:
    """o_BKEN in the dtype of q.

    Raises NotImplementedError for what cuDNN cannot do, and for a mask over many keys.
    """
    check(q_BKEN, k_BGSE, mask)
    try:
        return by_dot_product_attention(
            q_BKEN, k_BGSE, v_BGES, mask, scale=scale, implementation="cudnn"
        )
    except RuntimeError as error:
        if "cuDNN is not detected" not in str(error):
            raise
        raise NotImplementedError("cuDNN is not installed") from error


def check(q_BKEN: Array, k_BGSE: Array, mask: Mask | None) -> None:
    """NotImplementedError with the reason; jax.nn adds what depends on the GPU."""
    E, N = q_BKEN.shape[2:]
    S = k_BGSE.shape[2]
    if jax.default_backend() != "gpu":
        raise NotImplementedError("needs a GPU")
    if q_BKEN.dtype == jnp.float32:
        raise NotImplementedError("float32 is not offered; cast to bfloat16 or float16")
    if E % 8:
        raise NotImplementedError(f"head dim {E} is not a multiple of 8")
    if mask is not None and S > MAX_MASKED_KEYS:
        raise NotImplementedError(
            f"a mask of {N} queries and {S} keys would be written out in full"
        )
    if N % 2 or S % 2:  # JAX refuses their gradients
        raise NotImplementedError(f"needs even numbers of tokens, not {N} and {S}")


def by_dot_product_attention(
    q_BKEN: Array,
    k_BGSE: Array,
    v_BGES: Array,
    mask: Mask | None,
    *,
    scale: float,
    implementation: Literal["cudnn", "xla"],
) -> Array:
    """o_BKEN by jax.nn.dot_product_attention, zeros for a query without keys."""
    attends_A1NS = None if mask is None else jnp.asarray(mask.attends())[:, None]
    o_BNKE = jax.nn.dot_product_attention(
        jnp.transpose(q_BKEN, (0, 3, 1, 2)),
        jnp.transpose(k_BGSE, (0, 2, 1, 3)),
        jnp.transpose(v_BGES, (0, 3, 1, 2)),
        mask=attends_A1NS,
        scale=scale,
        implementation=implementation,
    )
    if attends_A1NS is not None:
        # There every score is equally low, which makes a mean of all values.
        has_key_AN11 = attends_A1NS[:, 0].any(axis=2)[:, :, None, None]
        o_BNKE = jnp.where(has_key_AN11, o_BNKE, 0)
    return jnp.transpose(o_BNKE, (0, 2, 3, 1))


def is_forward(primitive: Any, *avals: Any, **_: Any) -> bool:
    """A policy of jax.checkpoint: what cuDNN's forward kernel made is kept."""
    return primitive.name == FORWARD


def is_long_forward(primitive: Any, *avals: Any, **_: Any) -> bool:
    """The same, unless there are fewer keys than queries: avals are q_BNKE, k_BSGE, ..."""
    return is_forward(primitive) and avals[1].shape[1] >= avals[0].shape[1]
