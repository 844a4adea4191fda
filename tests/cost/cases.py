"""Programs to cost, small enough to compile in seconds: `tests/cost/cases.py:NAME`."""

import functools

import jax
import jax.numpy as jnp
from jax.experimental import pallas as pl
from jax.experimental.pallas import tpu as pltpu

from videogen.cost.case import Case
from videogen.cost.schedule import Shares

BLOCK = 128
FIRST, LAST, FULL = 1, 2, 4


def matmul(devices, n=1024, block=512):
    """A Pallas matmul that starts and finishes an accumulator in VMEM."""
    del devices

    def kernel(x, y, z, total):
        step = pl.program_id(2)

        @pl.when(step == 0)
        def _():
            total[...] = jnp.zeros_like(total)

        total[...] += jnp.dot(x[...], y[...], preferred_element_type=jnp.float32)

        @pl.when(step == pl.num_programs(2) - 1)
        def _():
            z[...] = total[...].astype(z.dtype)

    x = jax.ShapeDtypeStruct((n, n), jnp.bfloat16)
    call = pl.pallas_call(
        kernel,
        name="product",
        grid=(n // block,) * 3,
        in_specs=[
            pl.BlockSpec((block, block), lambda i, j, k: (i, k)),
            pl.BlockSpec((block, block), lambda i, j, k: (k, j)),
        ],
        out_specs=pl.BlockSpec((block, block), lambda i, j, k: (i, j)),
        scratch_shapes=[pltpu.VMEM((block, block), jnp.float32)],
        out_shape=x,
        compiler_params=pltpu.CompilerParams(
            dimension_semantics=("parallel", "parallel", "arbitrary"),
            vmem_limit_bytes=48 << 20,
        ),
    )
    shares = {"product": Shares(cold=block / n)}
    return Case(function=call, args=(x, x), flops=2.0 * n**3, shares=shares)


def xla_matmul(devices, n=1024):
    """What XLA makes of the same product."""
    del devices
    x = jax.ShapeDtypeStruct((n, n), jnp.bfloat16)
    return Case(function=lambda a, b: a @ b, args=(x, x), flops=2.0 * n**3)


def listed(x, w, steps, *, name, products):
    """Rows of x by w, accumulated over a list of steps with two kinds of body."""

    def kernel(flags, x_ref, w_ref, o_ref, total):
        flag = flags[pl.program_id(1)]

        @pl.when(flag & FIRST != 0)
        def _():
            total[...] = jnp.zeros_like(total)

        def product(values):
            total[...] += jnp.dot(
                values, w_ref[...], preferred_element_type=jnp.float32
            )

        @pl.when(flag & FULL != 0)
        def _():
            product(x_ref[...])

        @pl.when(flag & FULL == 0)
        def _():
            for power in range(2, 2 + products):
                product(x_ref[...] ** power)

        @pl.when(flag & LAST != 0)
        def _():
            o_ref[...] = total[...].astype(o_ref.dtype)

    heads, rows, width = x.shape
    return pl.pallas_call(
        kernel,
        name=name,
        grid_spec=pltpu.PrefetchScalarGridSpec(
            num_scalar_prefetch=1,
            grid=(heads, rows // BLOCK),
            in_specs=[
                pl.BlockSpec((None, BLOCK, width), lambda h, t, flags: (h, t, 0)),
                pl.BlockSpec((width, width), lambda h, t, flags: (0, 0)),
            ],
            out_specs=pl.BlockSpec((None, BLOCK, width), lambda h, t, flags: (h, 0, 0)),
            scratch_shapes=[pltpu.VMEM((BLOCK, width), jnp.float32)],
        ),
        out_shape=jax.ShapeDtypeStruct((heads, BLOCK, width), x.dtype),
        compiler_params=pltpu.CompilerParams(
            dimension_semantics=("parallel", "arbitrary")
        ),
    )(steps, x, w)


def switched(devices, heads=2, rows=512, width=128, trips=3, branch=None):
    """A scan of a switch between two kernels, the second the dearer."""
    del devices

    def function(x, w, steps, index):
        def body(total, w):
            small = functools.partial(listed, x, w, steps, name="small", products=1)
            large = functools.partial(listed, x, w, steps, name="large", products=3)
            return total + jax.lax.switch(index, [small, large]), None

        start = jnp.zeros((heads, BLOCK, width), x.dtype)
        return jax.lax.scan(body, start, w)[0]

    num_steps = rows // BLOCK
    args = (
        jax.ShapeDtypeStruct((heads, rows, width), jnp.bfloat16),
        jax.ShapeDtypeStruct((trips, width, width), jnp.bfloat16),
        jax.ShapeDtypeStruct((num_steps,), jnp.int32),
        jax.ShapeDtypeStruct((), jnp.int32),
    )
    shares = Shares(bodies=(0.75, 0.25), cold=1 / num_steps)
    shares_of = {"small": shares, "large": shares}
    return Case(function=function, args=args, shares=shares_of, branch=branch)


def too_large(devices, gib=64):
    """More than the chip has."""
    del devices
    x = jax.ShapeDtypeStruct((gib, 1 << 14, 1 << 14), jnp.float32)
    return Case(function=lambda x: x + 1, args=(x,))
