"""What the tests of attention share: who is tested, inputs, the truth, tolerances.

Truth is float64 numpy written from the definition. Tolerances are the dtype's epsilon
times the root of the reduction times the size of the values.
"""

import functools
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.experimental.pallas import tpu as pltpu

from videogen.ops.attention import AttentionPlan
from videogen.ops.attention.pallas_tpu import Blocks, PallasTpuKernel
from videogen.ops.attention.xla import XlaKernel

# A new kernel adds a line to the first and third table, any other implementation to PLANS.
SMALL = Blocks(q=128, kv=128, step=128)
PALLAS_TPU = PallasTpuKernel(
    forward_blocks=SMALL,
    backward_blocks=SMALL,
    few_keys=0,
    interpret=pltpu.InterpretParams(detect_races=True),
)
KERNELS = {
    "xla_one_chunk": XlaKernel(),
    "xla_many_chunks": XlaKernel(kv_chunk=10),
    "pallas_tpu": PALLAS_TPU,
}
PLANS = {
    "reference": AttentionPlan(implementation="reference"),
    **{name: AttentionPlan(implementation=kernel) for name, kernel in KERNELS.items()},
}
# Under vmap, jax.checkpoint and scan. Pallas' interpreter of TPUs supports none of these;
# its plain one does, but knows no memory spaces, no transfers and no races.
TRANSFORMED = PLANS | {
    "pallas_tpu": AttentionPlan(implementation=replace(PALLAS_TPU, interpret=True))
}
# Those that promise: a key that is not finite shows in no query that it is excluded from.
NONFINITE_STAYS = ("reference", "xla_one_chunk", "xla_many_chunks")
every_plan = pytest.mark.parametrize("plan", PLANS.values(), ids=PLANS)
DTYPES = (jnp.float32, jnp.bfloat16)
# (B, N, S, K, G, E); nearly all tests use this one, so that little is compiled.
SHAPE = (2, 33, 50, 6, 2, 9)
NUMBERS = ("scale", "logit_bound", "num_kv")
QUICK_COMPILE = {"xla_backend_optimization_level": 0}  # compiling is most of the time
NAMES = ("o", "dq", "dk", "dv")


def make_inputs(shape=SHAPE, dtype=jnp.float32, seed=0):
    """q, k, v and a cotangent do, unit Gaussian."""
    B, N, S, K, G, E = shape
    draw = np.random.default_rng(seed)
    shapes = ((B, N, K, E), (B, S, G, E), (B, S, G, E), (B, N, K, E))
    return [jnp.asarray(draw.standard_normal(shape), dtype) for shape in shapes]


def make_segments(shape=SHAPE, num=3, seed=1):
    """Random segment ids, as keywords; the first query's id belongs to no key."""
    B, N, S, *_ = shape
    draw = np.random.default_rng(seed)
    q_segments = draw.integers(0, num, (B, N), np.int32)
    q_segments[:, 0] = num
    kv_segments = draw.integers(0, num, (B, S), np.int32)
    return {"q_segments_BN": q_segments, "kv_segments_BS": kv_segments}


def allowed_by(segments):
    """Boolean (B, N, S), from the keywords."""
    return segments["q_segments_BN"][:, :, None] == segments["kv_segments_BS"][:, None]


def probabilities(q, k, allowed, scale):
    """p_BKNS in float64; rows without keys are zero."""
    s = scale * np.einsum("bnke,bske->bkns", q, k)
    allowed = np.broadcast_to(True if allowed is None else allowed[:, None], s.shape)
    top = np.max(s, -1, where=allowed, initial=-1e30, keepdims=True)
    p = np.exp(np.where(allowed, s - top, -np.inf))
    return p / np.maximum(p.sum(-1, keepdims=True), 1e-300)


def truth(q, k, v, do, allowed=None, scale=None, rounded=lambda x: x):
    """(o, dq, dk, dv) in float64, but for what `rounded` does.

    It is applied to what a kernel holds in a narrow dtype: the probabilities and their
    gradients where products read them, and the results.
    """
    q, k, v, do = (np.asarray(x, np.float64) for x in (q, k, v, do))
    repeats = q.shape[2] // k.shape[2]
    k, v = np.repeat(k, repeats, 2), np.repeat(v, repeats, 2)
    scale = q.shape[3] ** -0.5 if scale is None else scale
    p = rounded(probabilities(q, k, allowed, scale))
    o = rounded(np.einsum("bkns,bske->bnke", p, v))
    dp = np.einsum("bnke,bske->bkns", do, v)
    di_BKN = np.einsum("bnke,bnke->bkn", do, o)
    ds = scale * rounded(p * (dp - di_BKN[..., None]))
    dq = np.einsum("bkns,bske->bnke", ds, k)
    dk, dv = (np.einsum("bkns,bnke->bske", a, b) for a, b in ((ds, q), (p, do)))
    dk, dv = (x.reshape(*x.shape[:2], -1, repeats, x.shape[3]).sum(3) for x in (dk, dv))
    return o, *map(rounded, (dq, dk, dv))


def term_sizes(q, k, v, do, allowed):
    """The greatest terms of the sums that o, dq, dk, dv are: 1, and scale * p * dp * k or q.

    A row of few keys leaves nothing of p * (dp - di) but the rounding of its terms.
    """
    q, k, v, do = (np.asarray(x, np.float64) for x in (q, k, v, do))
    repeats, scale = q.shape[2] // k.shape[2], q.shape[3] ** -0.5
    p = probabilities(q, np.repeat(k, repeats, 2), allowed, scale)
    dp = np.einsum("bnke,bske->bkns", do, np.repeat(v, repeats, 2))
    ds = scale * np.abs(p * dp).max()
    return 1.0, ds * np.abs(k).max(), ds * np.abs(q).max(), 1.0


def evaluate(plan, inputs, tokens, **numbers):
    """(o, dq, dk, dv) by the plan; NumPy `tokens` (coordinates, segments) are static."""
    q, k, v, do = inputs
    o, pull = jax.vjp(lambda *qkv: plan(*qkv, **tokens, **numbers), q, k, v)
    return o, *pull(do)


@functools.partial(
    jax.jit,
    static_argnums=0,
    static_argnames=NUMBERS,
    compiler_options=QUICK_COMPILE,
)
def _run(plan, inputs, tokens, **numbers):
    return evaluate(plan, inputs, tokens, **numbers)


def run(plan, *inputs, **keywords):
    """`evaluate` with dynamic tokens, compiled once for all tests of the same shapes."""
    numbers = {name: keywords.pop(name) for name in NUMBERS if name in keywords}
    return _run(plan, inputs, keywords, **numbers)


def assert_close(got, want, reduction, *, factor=(2.0,) * 4, sizes=(1.0,) * 4):
    for name, a, b, c, size in zip(NAMES, got, want, factor, sizes, strict=True):
        eps = float(jnp.finfo(a.dtype).eps)
        tolerance = c * eps * max(1.0, size, np.abs(b).max()) * np.sqrt(reduction)
        a = np.asarray(a, np.float64)
        assert np.isfinite(a).all(), name
        np.testing.assert_allclose(a, b, rtol=0, atol=tolerance, err_msg=name)


def reduction_of(shape):
    B, N, S, K, G, E = shape
    return max(N * K // G, S, E)
