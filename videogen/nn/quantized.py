"""Products of 8-bit numbers, by qwix: forward, and for the gradient to the input.

Every row of an operand, along what the product sums, is scaled by its largest number. The
gradient to the kernel, a sum over all tokens, is a product in the dtype of x: of 8-bit numbers
its noise stops the training of large networks (SwitchBack, arXiv 2304.13013, section 2.2).
"""

import functools

import jax
import jax.numpy as jnp
import qwix

from videogen.core.types import Array

# With how a row's largest number finds its scale: 127.5 would be a tie, for all rows alike,
# which a last bit of theirs decides.
DTYPES = {"int8": (jnp.int8, "absmax,1.004"), "fp8": (jnp.float8_e4m3fn, "absmax")}


@functools.partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def quantized_einsum(name: str, dims: str, x: Array, kernel: Array) -> Array:
    """jnp.einsum(dims, x, kernel) of operands in a dtype of DTYPES; no dim is in all three."""
    return _rounded(name, dims, x, kernel)


def _forward(name, dims, x, kernel):
    return _rounded(name, dims, x, kernel), (x, kernel)


def _backward(name, dims, saved, dy):
    x, kernel = saved
    of_x, of_kernel, of_y = _names(dims)
    dx = _rounded(name, f"{of_y},{of_kernel}->{of_x}", dy, kernel)
    return dx, jnp.einsum(f"{of_x},{of_y}->{of_kernel}", x, dy)


quantized_einsum.defvjp(_forward, _backward)


def _rounded(name: str, dims: str, a: Array, b: Array) -> Array:
    *operands, out = _names(dims)
    dtype, calibration = DTYPES[name]
    rounded = (
        qwix.quantize(
            array.astype(jnp.float32),
            dtype,
            channelwise_axes=[i for i, dim in enumerate(names) if dim in out],
            calibration_method=calibration,
        )
        for array, names in zip((a, b), operands, strict=True)
    )
    return qwix.einsum(dims, *rounded).astype(a.dtype)


def _names(dims: str) -> list[str]:
    """Those of both operands and of the result."""
    return dims.replace("->", ",").split(",")
