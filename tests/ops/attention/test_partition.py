"""On a mesh attention is what it is on one device; bad factors get one line."""

import jax.numpy as jnp
import pytest
from eight_devices import run_on_eight_devices
from jax.sharding import AbstractMesh

from videogen.core.errors import ConfigError
from videogen.ops.attention.partition import factor_context, partitioned
from videogen.ops.attention.xla import XlaKernel
from videogen.parallel.mesh import AXES

# `check(name, mask, sizes, ..)`: values and gradients of one case, sharded and not.
HARNESS = """
import functools, jax, jax.numpy as jnp, numpy as np
from jax.sharding import AxisType, NamedSharding, PartitionSpec as P
from videogen.ops.attention.mask import both
from videogen.ops.attention.partition import partitioned
from videogen.ops.attention.patterns import (
    BlockCausal, Spatial, Window, grid_coords, segments_mask)
from videogen.ops.attention.ring import attend
from videogen.ops.attention.xla import XlaKernel
from videogen.parallel.mesh import AXES

KERNEL = XlaKernel(kv_chunk=16)
GRID = (8, 2, 4)
COORDS = grid_coords(GRID)

def mesh_of(replica=1, fsdp=1, context=1, tensor=1):
    sizes = (replica, fsdp, context, tensor)
    return jax.make_mesh(sizes, AXES, axis_types=(AxisType.Auto,) * 4,
                         devices=jax.devices()[: np.prod(sizes)])

def inputs(B=1, K=4, G=4, N=64, S=64, E=8):
    keys = jax.random.split(jax.random.key(0), 4)
    shapes = (B, K, E, N), (B, G, S, E), (B, G, E, S), (B, K, E, N)
    return [jax.random.normal(k, shape) for k, shape in zip(keys, shapes)]

def with_gradients(f):
    def run(q, k, v, do, mask):
        o, pull = jax.vjp(lambda *x: f(*x, mask), q, k, v)
        return o, *pull(do)
    return run

# A static mask is known while tracing, a dynamic one is an argument.
def call(f, arrays, mask):
    run = with_gradients(f)
    if mask is None or mask.is_static:
        return jax.jit(functools.partial(run, mask=mask))(*arrays)
    return jax.jit(run)(*arrays, mask)

@functools.cache
def alone(mask_id, **shape):
    f = functools.partial(attend, KERNEL, scale=0.3)
    return call(f, inputs(**shape), MASKS[mask_id](**shape))

def check(mask_id, mesh, shape={}, ambient=False, **options):
    mesh = mesh_of(**mesh)
    f = functools.partial(partitioned, KERNEL, mesh, scale=0.3, **options)
    arrays, mask = inputs(**shape), MASKS[mask_id](**shape)
    with jax.set_mesh(mesh) if ambient else jax.disable_jit(False):
        got = call(f, arrays, mask)
    for x, want in zip(got, alone(mask_id, **shape)):
        np.testing.assert_allclose(x, want, atol=2e-5)
    print("same")

def ids(B, tokens):
    return np.arange(B * tokens).reshape(B, tokens) * 5 // tokens

MASKS = {
    None: lambda **_: None,
    "window": lambda **_: Window(frames=1, rows=0, columns=1).mask(COORDS, COORDS),
    "causal": lambda **_: BlockCausal(chunk=2).mask(COORDS, COORDS),
    "spatial": lambda **_: Spatial().mask(COORDS, COORDS),
    "segments": lambda B=1, N=64, S=64, **_: segments_mask(
        *(jnp.asarray(ids(B, tokens)) for tokens in (N, S))),
    "static_segments": lambda B=1, N=64, S=64, **_: segments_mask(ids(B, N), ids(B, S)),
    "both": lambda B=1, **_: both(
        MASKS["window"](), segments_mask(*[jnp.asarray(ids(B, 64))] * 2)),
}
"""

EVERY_FACTORING = """
for context in (2, 4, 8):
    for u in (1, 2, 4, 8):
        if context % u == 0:
            check(None, dict(context=context), dict(K=8, G=4), ulysses=u)
"""

HEADS_AND_ROWS = """
check(None, dict(context=8), dict(K=12, G=12))  # Wan 1.3B: ulysses 4, ring 2
check(None, dict(context=4, tensor=2), dict(K=4, G=2))
check(None, dict(context=4, tensor=2), dict(K=8, G=1), ring=2)
check(None, dict(fsdp=2, context=2, tensor=2), dict(B=2), ambient=True)
check(None, dict(replica=2, fsdp=2, context=2), dict(B=4), ring=2)
check("segments", dict(fsdp=2, context=4), dict(B=2, N=48, S=40), ring=2)
check("static_segments", dict(fsdp=2, context=4), dict(B=2), ring=4)
"""

PATTERNS = """
for mask in ("window", "causal", "spatial", "both"):
    check(mask, dict(context=4), ring=4)
check("window", dict(context=4), ring=2)
check("causal", dict(context=8), ulysses=4)
check("both", dict(context=4, tensor=2), dict(K=8))
"""

PADDING = """
odd = dict(N=37, S=29)
check(None, dict(context=4), odd)
check(None, dict(context=4), odd, ulysses=1)
check("segments", dict(context=8), odd, ring=4)
check("static_segments", dict(context=4), odd, ring=2)
check("segments", dict(context=4, tensor=2), dict(N=3, S=2), ring=2)
"""

PADDED = """
shape, count = dict(N=32, S=32), dict(num_kv=27)
f = functools.partial(attend, KERNEL, scale=0.3, **count)
want = call(f, inputs(**shape), None)
for ulysses in (4, 2, 1):
    f = functools.partial(
        partitioned, KERNEL, mesh_of(context=4), scale=0.3, ulysses=ulysses, **count)
    for x, y in zip(call(f, inputs(**shape), None), want):
        np.testing.assert_allclose(x, y, atol=2e-5)
    print("same")
f = functools.partial(
    partitioned, KERNEL, mesh_of(context=4), scale=0.3, kv_replicated=True, **count)
for x, y in zip(call(f, inputs(**shape), None), want):
    np.testing.assert_allclose(x, y, atol=2e-5)
print("same")
"""

SKIPPED = """
from jax.experimental.pallas import tpu as pltpu
from videogen.ops.attention.pallas_tpu import Blocks, PallasTpuKernel
blocks = Blocks(q=128, kv=128, step=128)
SKIPS = PallasTpuKernel(forward_blocks=blocks, backward_blocks=blocks, few_keys=0,
                        interpret=pltpu.InterpretParams())
shape, count = dict(K=2, G=2, N=512, S=512), dict(num_kv=300)  # a block of padding alone
f = functools.partial(attend, KERNEL, scale=0.3, **count)
want = call(f, inputs(**shape), None)
f = functools.partial(partitioned, SKIPS, mesh_of(context=2), scale=0.3, **count)
for x, y in zip(call(f, inputs(**shape), None), want):
    np.testing.assert_allclose(x, y, atol=2e-5)
print("same")
"""

TEXT = """
text = dict(kv_replicated=True)
check(None, dict(context=4, tensor=2), dict(N=37, S=13), **text)
check("segments", dict(fsdp=2, context=4), dict(B=2, S=13), **text)
check("static_segments", dict(context=4), dict(N=37, S=13), **text)
"""


@pytest.mark.parametrize(
    "checks, num_checks",
    [
        *((EVERY_FACTORING, 9), (HEADS_AND_ROWS, 7), (PATTERNS, 7), (PADDING, 5)),
        *((PADDED, 4), (SKIPPED, 1), (TEXT, 3)),
    ],
    ids=(
        "factors",
        "heads_and_rows",
        "patterns",
        "padding",
        "padded",
        "skipped",
        "text",
    ),
)
def test_sharded_is_unsharded(checks, num_checks):
    out = run_on_eight_devices(HARNESS + checks, timeout=240)
    assert out.count("same") == num_checks


def test_the_default_factoring_fits_any_number_of_heads():
    for heads in range(1, 49):
        for context in (1, 2, 3, 4, 8, 16, 32):
            u, r = factor_context(heads, context)
            assert u * r == context and heads % u == 0
    assert factor_context(12, 8) == (4, 2)
    assert factor_context(12, 8, ring=4) == (2, 4)
    assert factor_context(12, 8, ulysses=1) == (1, 8)


@pytest.mark.parametrize(
    "heads, context, factors, message",
    [
        (12, 8, {"ulysses": 8}, "ulysses=8 does not divide the 12 heads .* [1, 2, 4] "),
        (12, 8, {"ulysses": 3}, "ulysses=3 x ring=2 is 6, but mesh.context=8; ulysses"),
        (12, 8, {"ulysses": 2, "ring": 2}, "ulysses=2 x ring=2 is 4, but mesh.context"),
        (12, 8, {"ring": 16}, "ulysses=1 x ring=16 is 16, but mesh.context=8"),
        (5, 8, {"ring": 1}, "ulysses=8 does not divide the 5 heads .* [1] would work"),
    ],
)
def test_factors_that_cannot_be_get_one_line(heads, context, factors, message):
    with pytest.raises(ConfigError, match=message.replace("[", r"\[")) as error:
        factor_context(heads, context, **factors)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "sizes, message",
    [
        ({"fsdp": 4}, "1 batch rows do not divide over mesh.replica=1 x mesh.fsdp=4"),
        ({"tensor": 8}, r"12 heads do not divide over mesh.tensor=8; one of \[1, 2, 3"),
    ],
)
def test_a_mesh_that_cannot_be_gets_one_line(sizes, message):
    q, k, v = (
        jnp.zeros(shape) for shape in ((1, 12, 8, 16), (1, 12, 16, 8), (1, 12, 8, 16))
    )
    mesh = AbstractMesh(tuple(sizes.get(axis, 1) for axis in AXES), AXES)
    with pytest.raises(ConfigError, match=message) as error:
        partitioned(XlaKernel(), mesh, q, k, v, None, scale=1.0)
    assert "\n" not in str(error.value)
