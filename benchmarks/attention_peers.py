"""Other people's attention kernels for TPUs, as cases for `videogen.cost`.

Blocks are the best of those tried (1024 for queries and keys, 512 keys at a time; tokamax
takes 2048 keys backward). All take queries already scaled. They need whole blocks: other
lengths are padded, which is all they are charged for (masking the padding is left out).
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from videogen.cost.case import Case
from videogen.cost.schedule import Shares

BLOCK = 1024
INNER = 512


def jax_flash(devices: Any, K: int, E: int, N: int, backward: bool = False) -> Case:
    """jax.experimental.pallas.ops.tpu.flash_attention."""
    from jax.experimental.pallas.ops.tpu import flash_attention as flash

    outer = ("block_q", "block_k_major", "block_q_major_dkv", "block_k_major_dkv")
    outer += ("block_q_dkv", "block_k_major_dq", "block_q_dq")
    inner = ("block_k", "block_k_dkv", "block_k_dq")
    sizes = dict.fromkeys(outer, BLOCK) | dict.fromkeys(inner, INNER)
    blocks = flash.BlockSizes(block_b=1, **sizes)

    def attend(q, k, v):
        o = flash.flash_attention(q[None], k[None], v[None], block_sizes=blocks)
        return o[0]

    return case(attend, K, E, N, backward, BLOCK)


def jax_splash(
    devices: Any, K: int, E: int, N: int, backward: bool = False, fused: bool = False
) -> Case:
    """jax.experimental.pallas.ops.tpu.splash_attention; `fused`: its one-pass backward."""
    from jax.experimental.pallas.ops.tpu.splash_attention import (
        splash_attention_kernel as kernel,
    )
    from jax.experimental.pallas.ops.tpu.splash_attention import (
        splash_attention_mask as mask,
    )

    sizes: dict[str, Any] = dict(block_q=BLOCK, block_kv=BLOCK, block_kv_compute=INNER)
    if backward:
        sizes |= dict(block_q_dkv=BLOCK, block_kv_dkv=BLOCK, block_kv_dkv_compute=INNER)
        sizes |= dict(use_fused_bwd_kernel=fused)
    if backward and not fused:
        sizes |= dict(block_q_dq=BLOCK, block_kv_dq=BLOCK)
    tokens = padded(N, BLOCK)
    full = mask.MultiHeadMask([mask.FullMask((tokens, tokens)) for _ in range(K)])
    attend = kernel.make_splash_mha(
        full, head_shards=1, q_seq_shards=1, block_sizes=kernel.BlockSizes(**sizes)
    )
    return case(attend, K, E, N, backward, BLOCK)


def tokamax_splash(
    devices: Any,
    K: int,
    E: int,
    N: int,
    backward: bool = False,
    max_logit: float | None = None,
    dq_steps: int | None = None,
    block_kv_backward: int = BLOCK,
) -> Case:
    """tokamax 0.0.12; `dq_steps`: its dq_reduction_steps, 3 or all.

    max_logit: a constant instead of the running maximum, right only while it is a bound.
    """
    from tokamax._src.ops.experimental.tpu.splash_attention import (
        splash_attention_kernel as kernel,
    )
    from tokamax._src.ops.experimental.tpu.splash_attention import (
        splash_attention_mask as mask,
    )

    sizes: dict[str, Any] = dict(block_q=BLOCK, block_kv=BLOCK, block_kv_compute=INNER)
    block = BLOCK
    if backward:
        block = max(BLOCK, block_kv_backward)
        sizes |= dict(block_q_dkv=BLOCK, block_kv_dkv=block_kv_backward)
        sizes |= dict(block_kv_dkv_compute=INNER, dq_reduction_steps=dq_steps)
    tokens = padded(N, block)
    config = kernel.SplashConfig(use_base2_exp=True, max_logit_const=max_logit, **sizes)
    attend = kernel.make_splash_mha(
        mask.FullMask((tokens, tokens)), q_seq_shards=1, config=config
    )
    return case(attend, K, E, N, backward, block)


def case(
    attend: Callable[..., Any],
    K: int,
    E: int,
    N: int,
    backward: bool,
    block: int,
) -> Case:
    """The forward pass of `attend(q_KNE, k, v)`, or it and its gradients."""
    tokens = padded(N, block)

    def forward(*qkv):
        more = ((0, 0), (0, tokens - N), (0, 0))
        return attend(*(jnp.pad(x, more) for x in qkv))[:, :N]

    def both(do, *qkv):
        return jax.vjp(forward, *qkv)[1](do)

    x_KNE = jax.ShapeDtypeStruct((K, N, E), jnp.bfloat16)
    return Case(
        function=both if backward else forward,
        args=(x_KNE,) * (4 if backward else 3),
        flops=useful_flops(K, E, N, backward),
        row_major=True,
        shares={"": Shares(cold=BLOCK / tokens)},  # a row of blocks starts and finishes
    )


def useful_flops(K: int, E: int, N: int, backward: bool) -> float:
    """Two products forward, five backward (recomputed scores among them)."""
    return (14.0 if backward else 4.0) * N * N * E * K


def padded(N: int, block: int) -> int:
    """N, up to a whole number of blocks."""
    return -(-N // block) * block
