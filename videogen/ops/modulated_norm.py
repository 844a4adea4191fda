"""LayerNorm with a shift and a scale a sample, in one pass over its tokens each way, on TPUs.

    y = n (1 + scale) + shift,  n = (x - mean) r,  r = 1 / sqrt(variance + eps)

Left to itself XLA reads x once for the mean, once for the variance, once for y; backward it
makes six such passes, as the gradients of shift and scale are sums over tokens. With g =
dy (1 + scale) the gradient of x is r (g - mean(g) - n mean(g n)); all means are over the
width, in float32, and nothing is kept but x. The definition is nn/modulation.py's.
"""

import functools
import math
from typing import Any

import jax
import jax.numpy as jnp
from jax.experimental import pallas as pl
from jax.experimental.pallas import tpu as pltpu
from jax.sharding import PartitionSpec

from videogen.core.types import Array
from videogen.parallel.chips import chip_of

F32 = jnp.float32
EPS = 1e-6
LANES, SUBLANES = 128, 8
ROWS = 16  # tokens at a time: all of them and their sums stay in registers
BLOCK_BYTES = 2**21  # of one array in float32
BATCH = ("replica", "fsdp")


def fits(x_BND: Array, shift_B1D: Array, scale_B1D: Array) -> bool:
    """Whether the ambient mesh is of TPUs, cuts the batch alone, and sizes are whole blocks.

    Over `tensor` every device would do the same, and gradients would be summed in vain.
    """
    mesh = jax.sharding.get_abstract_mesh()
    if chip_of(mesh) is None:
        return False
    B, N, D = x_BND.shape
    ways = math.prod(mesh.shape.get(axis, 1) for axis in BATCH)
    one_each = shift_B1D.shape == scale_B1D.shape == (B, 1, D)
    whole = D % LANES == 0 and N % ROWS == 0 and B % ways == 0
    uncut = all(mesh.shape.get(axis, 1) == 1 for axis in ("context", "tensor"))
    return one_each and whole and uncut


def modulated_norm(x_BND: Array, shift_B1D: Array, scale_B1D: Array) -> Array:
    """y in the dtype of x, on the ambient mesh; of what `fits`."""
    mesh = jax.sharding.get_abstract_mesh()
    spec = PartitionSpec(tuple(axis for axis in BATCH if axis in mesh.shape))
    run = jax.shard_map(on_device, in_specs=spec, out_specs=spec, check_vma=False)
    return run(x_BND, shift_B1D.astype(F32), scale_B1D.astype(F32))


def on_device(
    x_BND: Array, shift_B1D: Array, scale_B1D: Array, interpret: Any = False
) -> Array:
    """y on one device. interpret: on the CPU, by Pallas' interpreter."""
    return _norm(interpret, x_BND, shift_B1D, scale_B1D)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _norm(interpret: Any, x: Array, shift: Array, scale: Array) -> Array:
    return _call(_forward, "forward", interpret, (x,), (shift, scale), 0)[0]


def _forward_rule(interpret, x, shift, scale):
    return _norm(interpret, x, shift, scale), (x, scale)


def _backward_rule(interpret, saved, dy):
    x, scale = saved
    dx, *sums = _call(_backward, "backward", interpret, (x, dy), (scale,), 2)
    return dx, *(x_B8D.sum(1, keepdims=True) for x_B8D in sums)


_norm.defvjp(_forward_rule, _backward_rule)


def _call(kernel, name, interpret, tokens, vectors, num_sums) -> tuple[Array, ...]:
    """An array like the first of `tokens`, then sums over tokens by sublane, (B, 8, D)."""
    B, N, D = tokens[0].shape
    most = max(ROWS, BLOCK_BYTES // (4 * D))
    block = next(n for n in range(most - most % ROWS, 0, -ROWS) if N % n == 0)
    of_tokens = pl.BlockSpec((1, block, D), lambda b, n: (b, n, 0))
    of_vector, of_sums = (
        pl.BlockSpec((1, rows, D), lambda b, n: (b, 0, 0)) for rows in (1, SUBLANES)
    )
    sums = jax.ShapeDtypeStruct((B, SUBLANES, D), F32)
    out = pl.pallas_call(
        kernel,
        name=f"modulated_norm_{name}",
        grid=(B, N // block),
        in_specs=[of_tokens] * len(tokens) + [of_vector] * len(vectors),
        out_specs=[of_tokens] + [of_sums] * num_sums,
        out_shape=[jax.ShapeDtypeStruct((B, N, D), tokens[0].dtype)]
        + [sums] * num_sums,
        compiler_params=pltpu.CompilerParams(
            dimension_semantics=("parallel", "arbitrary")
        ),
        interpret=interpret,
    )(*tokens, *vectors)
    return tuple(out)


def _forward(x_ref, shift_ref, scale_ref, y_ref):
    shift_1D, gain_1D = shift_ref[0], 1.0 + scale_ref[0]

    def rows(i, _):
        at = _rows(i)
        n_RD, _ = _normed(x_ref[0, at, :])
        y_ref[0, at, :] = (n_RD * gain_1D + shift_1D).astype(y_ref.dtype)

    jax.lax.fori_loop(0, x_ref.shape[1] // ROWS, rows, None)


def _backward(x_ref, dy_ref, scale_ref, dx_ref, dshift_ref, dscale_ref):
    gain_1D, is_first = 1.0 + scale_ref[0], pl.program_id(1) == 0

    def rows(i, sums):
        at = _rows(i)
        n_RD, r_R1 = _normed(x_ref[0, at, :])
        dy_RD = dy_ref[0, at, :].astype(F32)
        g_RD = dy_RD * gain_1D
        of_n = jnp.mean(g_RD * n_RD, axis=1, keepdims=True)
        dx_RD = r_R1 * (g_RD - jnp.mean(g_RD, axis=1, keepdims=True) - n_RD * of_n)
        dx_ref[0, at, :] = dx_RD.astype(dx_ref.dtype)
        return sums[0] + _fold(dy_RD), sums[1] + _fold(dy_RD * n_RD)

    before = (jnp.where(is_first, 0.0, x[0]) for x in (dshift_ref, dscale_ref))
    sums = jax.lax.fori_loop(0, x_ref.shape[1] // ROWS, rows, tuple(before))
    dshift_ref[0], dscale_ref[0] = sums


def _rows(i: Any) -> Any:
    return pl.ds(pl.multiple_of(i * ROWS, ROWS), ROWS)


def _normed(x_RD: Array) -> tuple[Array, Array]:
    """n and r of these tokens, float32."""
    x_RD = x_RD.astype(F32)
    x_RD = x_RD - jnp.mean(x_RD, axis=1, keepdims=True)
    r_R1 = jax.lax.rsqrt(jnp.mean(x_RD * x_RD, axis=1, keepdims=True) + EPS)
    return x_RD * r_R1, r_R1


def _fold(x_RD: Array) -> Array:
    """Rows summed to the 8 sublanes of a register."""
    return x_RD.reshape(-1, SUBLANES, x_RD.shape[1]).sum(0)
