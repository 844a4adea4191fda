"""What every attention implementation promises. A new one adds a name to the list.

Truth is float64 numpy written from the definition. Tolerances are the dtype's epsilon
times the root of the reduction times the size of the values.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from videogen.ops.attention import AttentionPlan
from videogen.ops.attention.specs import SPECS

PLANS = {
    "reference": AttentionPlan(implementation="reference"),
    "xla_one_chunk": AttentionPlan(implementation="xla"),
    "xla_many_chunks": AttentionPlan(implementation="xla", kv_chunk=16),
}
DTYPES = (jnp.float32, jnp.bfloat16)
# (B, N, S, K, G, E): self, cross, grouped heads with odd sizes, one key.
SHAPES = [
    (2, 32, 32, 2, 2, 16),
    (1, 40, 7, 4, 4, 8),
    (2, 33, 50, 6, 2, 9),
    (1, 5, 1, 4, 1, 8),
]


@pytest.fixture(params=PLANS)
def plan(request):
    return PLANS[request.param]


def make_inputs(shape, dtype=jnp.float32, seed=0):
    """q, k, v and a cotangent do, unit Gaussian."""
    B, N, S, K, G, E = shape
    draw = np.random.default_rng(seed)
    shapes = ((B, N, K, E), (B, S, G, E), (B, S, G, E), (B, N, K, E))
    return [jnp.asarray(draw.standard_normal(shape), dtype) for shape in shapes]


def make_segments(shape, num=3, seed=1):
    """Random segment ids; the first query's id belongs to no key."""
    B, N, S, *_ = shape
    draw = np.random.default_rng(seed)
    q_segments = draw.integers(0, num, (B, N))
    q_segments[:, 0] = num
    kv_segments = draw.integers(0, num, (B, S))
    return jnp.asarray(q_segments, jnp.int32), jnp.asarray(kv_segments, jnp.int32)


def truth(q, k, v, do, segments=(None, None), scale=None):
    """(o, dq, dk, dv) in float64."""
    q, k, v, do = (np.asarray(x, np.float64) for x in (q, k, v, do))
    repeats = q.shape[2] // k.shape[2]
    k, v = np.repeat(k, repeats, 2), np.repeat(v, repeats, 2)
    scale = q.shape[3] ** -0.5 if scale is None else scale
    s = scale * np.einsum("bnke,bske->bkns", q, k)
    if segments[0] is None:
        allowed = np.ones_like(s, bool)
    else:
        a, b = (np.asarray(x) for x in segments)
        allowed = np.broadcast_to((a[:, :, None] == b[:, None])[:, None], s.shape)
    top = np.max(s, -1, where=allowed, initial=-1e30, keepdims=True)
    p = np.exp(np.where(allowed, s - top, -np.inf))
    p /= np.maximum(p.sum(-1, keepdims=True), 1e-300)
    o = np.einsum("bkns,bske->bnke", p, v)
    dp = np.einsum("bnke,bske->bkns", do, v)
    ds = scale * p * (dp - (p * dp).sum(-1, keepdims=True))
    dq = np.einsum("bkns,bske->bnke", ds, k)
    dk, dv = (np.einsum("bkns,bnke->bske", a, b) for a, b in ((ds, q), (p, do)))
    dk, dv = (x.reshape(*x.shape[:2], -1, repeats, x.shape[3]).sum(3) for x in (dk, dv))
    return o, dq, dk, dv


@functools.partial(jax.jit, static_argnums=0, static_argnames="scale")
def run(plan, q, k, v, do, segments=(None, None), *, scale=None):
    """(o, dq, dk, dv) by the plan, compiled once for all tests of the same shapes."""

    def call(q, k, v):
        ids = dict(zip(("q_segments_BN", "kv_segments_BS"), segments, strict=True))
        return plan(q, k, v, **ids, scale=scale)

    o, pull = jax.vjp(call, q, k, v)
    return o, *pull(do)


def assert_close(got, want, reduction, *, factor=(2.0, 2.0, 2.0, 2.0)):
    names = ("o", "dq", "dk", "dv")
    for name, a, b, c in zip(names, got, want, factor, strict=True):
        eps = float(jnp.finfo(a.dtype).eps)
        tolerance = c * eps * max(1.0, np.abs(b).max()) * np.sqrt(reduction)
        a = np.asarray(a, np.float64)
        assert np.isfinite(a).all(), name
        np.testing.assert_allclose(a, b, rtol=0, atol=tolerance, err_msg=name)


def reduction_of(shape):
    B, N, S, K, G, E = shape
    return max(N * K // G, S, E)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "shape, segmented",
    [*((shape, False) for shape in SHAPES), (SHAPES[2], True)],
)
def test_values_and_gradients(plan, shape, segmented, dtype):
    inputs = make_inputs(shape, dtype)
    segments = make_segments(shape) if segmented else (None, None)
    got = run(plan, *inputs, segments)
    assert [x.dtype for x in got] == [dtype] * 4
    assert_close(got, truth(*inputs, segments), reduction_of(shape))


@pytest.mark.parametrize("name", SPECS)
def test_real_shapes(name):
    plan = AttentionPlan()  # what models get when they ask for nothing
    spec = SPECS[name].shrink(1 if "ci" in SPECS[name].tags else 512)
    shape = (min(spec.B, 4), spec.N, spec.S, spec.K, spec.G, spec.E)
    inputs = make_inputs(shape, jnp.bfloat16)
    assert_close(run(plan, *inputs), truth(*inputs), reduction_of(shape))


def test_scale(plan):
    inputs = make_inputs(SHAPES[0])
    assert_close(run(plan, *inputs, scale=0.5), truth(*inputs, scale=0.5), 64)


def test_no_key_is_zero_with_zero_gradients(plan):
    shape = SHAPES[2]
    q, k, v, do = make_inputs(shape)
    segments = jnp.zeros((2, 33), jnp.int32), jnp.ones((2, 50), jnp.int32)
    for x in run(plan, 1e4 * q, k, v, do, segments):
        assert not np.asarray(x).any()


def test_segments_do_not_see_each_other(plan):
    """Packed rows give what each of them gives alone."""
    q, k, v, do = make_inputs((1, 24, 40, 2, 2, 8))
    segments = [
        jnp.repeat(jnp.arange(2), jnp.array(sizes), total_repeat_length=sum(sizes))[
            None
        ]
        for sizes in ((8, 16), (30, 10))
    ]
    packed = run(plan, q, k, v, do, segments)
    first = run(plan, q[:, :8], k[:, :30], v[:, :30], do[:, :8])
    second = run(plan, q[:, 8:], k[:, 30:], v[:, 30:], do[:, 8:])
    for together, *alone in zip(packed, first, second, strict=True):
        np.testing.assert_allclose(together, np.concatenate(alone, 1), atol=2e-5)


@pytest.mark.parametrize("size", (1e4, 1e-30), ids=("huge", "tiny"))
def test_extreme_logits(plan, size):
    """Logits of 1e4 either side of zero, one-hot rows, and nearly denormal logits."""
    q, k, v, do = make_inputs(SHAPES[2])
    # Small integers and a power of two: float32 holds every logit exactly.
    q, k = jnp.sign(q), jnp.round(k)
    scale = float(2.0 ** np.ceil(np.log2(size / 10)))
    segments = make_segments(SHAPES[2])
    got = run(plan, q, k, v, do, segments, scale=scale)
    want = truth(q, k, v, do, segments, scale)
    # p from a saved logsumexp L has the relative error eps * |L|; in dq and dk, dp - D
    # cancels to rounding in a one-hot row and then meets the scale.
    p, ds = 2 * max(1.0, size / 10), 2 * max(1.0, scale)
    assert_close(got, want, reduction_of(SHAPES[2]), factor=(2.0, ds, ds, p))


def test_equal_keys_average_the_values(plan):
    q, k, v, do = make_inputs(SHAPES[2])
    o, *_ = run(plan, q, jnp.ones_like(k), v, do)
    mean = jnp.repeat(v.mean(1, keepdims=True), 3, 2)
    np.testing.assert_allclose(o, jnp.broadcast_to(mean, o.shape), atol=1e-5)


def test_vmap_is_a_loop(plan):
    pair = [make_inputs(SHAPES[2], seed=seed) for seed in (0, 1)]
    stacked = [jnp.stack(both) for both in zip(*pair, strict=True)]
    segments = make_segments(SHAPES[2])
    mapped = jax.vmap(lambda *x: run(plan, *x, segments))(*stacked)
    for row, inputs in enumerate(pair):
        for a, b in zip(mapped, run(plan, *inputs, segments), strict=True):
            np.testing.assert_allclose(a[row], b, atol=1e-5)


@pytest.mark.parametrize(
    "policy",
    (
        jax.checkpoint_policies.nothing_saveable,
        jax.checkpoint_policies.save_only_these_names("attention_o", "attention_lse"),
    ),
    ids=("full", "names"),
)
def test_remat_changes_nothing(plan, policy):
    q, k, v, do = make_inputs(SHAPES[2])
    plain = run(plan, q, k, v, do)

    def remat(*qkv, **keywords):
        call = functools.partial(plan, **keywords)
        return jax.checkpoint(call, policy=policy)(*qkv)

    for a, b in zip(run(remat, q, k, v, do), plain, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


def test_gradient_through_a_scan(plan):
    """Four rematerialised layers, as models run them, against the reference."""
    x, *_ = make_inputs((2, 33, 33, 4, 4, 8))
    weights = jnp.full((4, 8), 0.5)

    def loss(x, weights, plan):
        def layer(x, w):
            return x + plan(x * w, x, x * w), None

        return jnp.mean(jax.lax.scan(jax.checkpoint(layer), x, weights)[0] ** 2)

    grad = jax.jit(jax.grad(loss, argnums=(0, 1)), static_argnums=2)
    for got, want in zip(
        grad(x, weights, plan), grad(x, weights, PLANS["reference"]), strict=True
    ):
        scale = float(jnp.abs(want).max())
        np.testing.assert_allclose(got, want, atol=1e-5 * scale)


def test_deterministic(plan):
    inputs = make_inputs(SHAPES[2], jnp.bfloat16)
    for a, b in zip(run(plan, *inputs), run(plan, *inputs), strict=True):
        np.testing.assert_array_equal(a, b)
