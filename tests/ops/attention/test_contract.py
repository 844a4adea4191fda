"""What every attention implementation promises, see `contract.py`."""

import functools

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
from hypothesis import Phase, given, settings
from jax.experimental.pallas.ops.tpu.splash_attention import (
    splash_attention_kernel as splash,
)
from jax.experimental.pallas.ops.tpu.splash_attention import (
    splash_attention_mask as splash_mask,
)
from ops.attention.contract import (
    DTYPES,
    KERNELS,
    NAMES,
    PLANS,
    QUICK_COMPILE,
    SHAPE,
    TRANSFORMED,
    allowed_by,
    assert_close,
    evaluate,
    every_plan,
    make_inputs,
    make_segments,
    reduction_of,
    run,
    term_sizes,
    truth,
)
from ops.attention.masks import cases

from videogen.ops.attention import AttentionPlan
from videogen.ops.attention.local import Carry
from videogen.ops.attention.patterns import segments_mask
from videogen.ops.attention.specs import SPECS

transformed = pytest.mark.parametrize("plan", TRANSFORMED.values(), ids=TRANSFORMED)
SHAPES = {"self": (2, 32, 32, 2, 2, 16), "cross": (1, 40, 7, 4, 4, 8), "odd": SHAPE}
SHAPES["one key"] = (1, 5, 1, 4, 1, 8)


@every_plan
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_values_and_gradients(plan, shape):
    inputs = make_inputs(shape)
    assert_close(run(plan, *inputs), truth(*inputs), reduction_of(shape))


@every_plan
@pytest.mark.parametrize("dtype", DTYPES)
def test_segments(plan, dtype):
    inputs, segments = make_inputs(dtype=dtype), make_segments()
    got = run(plan, *inputs, **segments)
    assert [x.dtype for x in got] == [dtype] * 4
    assert_close(got, truth(*inputs, allowed_by(segments)), reduction_of(SHAPE))


@every_plan
@pytest.mark.parametrize("masked", (False, True))
def test_padding_is_as_if_it_were_not_there(plan, masked):
    q, k, v, do = make_inputs()
    num_kv = k.shape[1] - 13
    segments = make_segments() if masked else {}
    allowed = allowed_by(segments)[:, :, :num_kv] if masked else None
    o, dq, dk, dv = run(plan, q, k, v, do, num_kv=num_kv, **segments)
    got = o, dq, dk[:, :num_kv], dv[:, :num_kv]
    want = truth(q, k[:, :num_kv], v[:, :num_kv], do, allowed)
    assert_close(got, want, reduction_of(SHAPE))
    assert not dk[:, num_kv:].any() and not dv[:, num_kv:].any()


def check_case(plan, case):
    inputs, got = case.run(plan)
    allowed = case.allowed()
    assert_close(
        got,
        truth(*inputs, allowed),
        reduction_of(case.shape),
        sizes=term_sizes(*inputs, allowed),
    )


@every_plan
@settings(max_examples=4, derandomize=True, deadline=None, database=None)
@given(case=cases(max_tokens=150))
def test_any_case(plan, case):
    check_case(plan, case)


@pytest.mark.slow  # 10 to 100 s each
@every_plan
@settings(
    max_examples=20,
    phases=[Phase.generate],  # to shrink takes a compilation a try
    derandomize=True,
    deadline=None,
    database=None,
)
@given(case=cases())
def test_many_cases(plan, case):
    check_case(plan, case)


@pytest.mark.parametrize("name", SPECS)
def test_real_shapes(name):
    plan = AttentionPlan()  # what models get when they ask for nothing
    spec = SPECS[name].shrink(1 if "ci" in SPECS[name].tags else 512)
    shape = (min(spec.B, 4), spec.N, spec.S, spec.K, spec.G, spec.E)
    inputs = make_inputs(shape, jnp.bfloat16)
    assert_close(run(plan, *inputs), truth(*inputs), reduction_of(shape))


def bf16(x):
    return x.astype(ml_dtypes.bfloat16).astype(np.float64)


def mean_square_errors(results, exact):
    """Of o, dq, dk, dv."""
    pairs = zip(results, exact, strict=True)
    return np.array([np.mean((np.asarray(a, np.float64) - b) ** 2) for a, b in pairs])


@every_plan
def test_bfloat16_errs_no_more_than_rounded_probabilities(plan):
    """Root mean squares, against float64 that rounds to bfloat16 what a kernel must."""
    errors = np.zeros((2, 4))
    for seed in range(2):
        inputs = make_inputs((1, 256, 384, 2, 1, 64), jnp.bfloat16, seed)
        rounded = truth(*inputs, rounded=bf16)
        for row, result in enumerate((run(plan, *inputs), rounded)):
            errors[row] += mean_square_errors(result, truth(*inputs))
    ratio = dict(zip(NAMES, np.sqrt(errors[0] / errors[1]), strict=True))
    # dv is rounded from the same numbers in both, but for how a float32 sum ends.
    assert max(ratio.values()) < 1.001, ratio


def jax_splash(q, k, v, do):
    """(o, dq, dk, dv) by JAX splash attention, which multiplies float32 probabilities."""
    sizes = [name for name in splash.BlockSizes.__annotations__ if "block" in name]
    attend = splash.make_splash_mha(
        splash_mask.MultiHeadMask(
            [splash_mask.FullMask((q.shape[1], k.shape[1]))] * q.shape[2]
        ),
        head_shards=1,
        q_seq_shards=1,
        interpret=True,
        block_sizes=splash.BlockSizes(**dict.fromkeys(sizes, 128)),
    )

    def call(q, k, v):
        scaled = q * jnp.asarray(q.shape[3] ** -0.5, q.dtype)
        o = jax.vmap(attend)(*(x.swapaxes(1, 2) for x in (scaled, k, v)))
        return o.swapaxes(1, 2)

    o, pull = jax.vjp(call, q, k, v)
    return o, *pull(do)


def test_bfloat16_errs_at_most_twice_as_much_as_splash():
    inputs = make_inputs((1, 128, 256, 2, 2, 64), jnp.bfloat16)
    exact = truth(*inputs)
    ours, theirs = (
        np.sqrt(mean_square_errors(f(*inputs), exact))
        for f in (functools.partial(run, PLANS["pallas_tpu"]), jax.jit(jax_splash))
    )
    assert (ours <= 2 * theirs).all(), (ours, theirs)


@every_plan
def test_scale_and_bound(plan):
    q, *others = make_inputs()
    log2 = float(np.log(2))
    bounded = run(plan, 0.5 / log2 * q, *others, scale=log2, logit_bound=30.0)
    o, dq, dk, dv = truth(q, *others, scale=0.5)
    assert_close(bounded, (o, 2 * log2 * dq, dk, dv), reduction_of(SHAPE))


@transformed
def test_vmap_is_a_loop(plan):
    segments = make_segments()
    pair = [make_inputs(seed=seed) for seed in (0, 1)]
    stacked = [jnp.stack(both) for both in zip(*pair, strict=True)]
    mapped = jax.vmap(lambda *x: run(plan, *x, **segments))(*stacked)
    for row, inputs in enumerate(pair):
        for a, b in zip(mapped, run(plan, *inputs, **segments), strict=True):
            np.testing.assert_allclose(a[row], b, atol=1e-5)


@transformed
@pytest.mark.parametrize(
    "policy",
    (
        jax.checkpoint_policies.nothing_saveable,
        jax.checkpoint_policies.save_only_these_names("attention_o", "attention_lse"),
        jax.checkpoint_policies.save_and_offload_only_these_names(
            names_which_can_be_saved=[],
            names_which_can_be_offloaded=["attention_o", "attention_lse"],
            offload_src="device",
            offload_dst="pinned_host",
        ),
    ),
    ids=("full", "names", "offload"),
)
def test_remat_changes_nothing(plan, policy):
    inputs = make_inputs()

    def remat(*qkv, **keywords):
        call = functools.partial(plan, **keywords)
        return jax.checkpoint(call, policy=policy)(*qkv)

    for a, b in zip(run(remat, *inputs), run(plan, *inputs), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


@transformed
def test_gradient_through_a_scan(plan):
    """Four rematerialised layers, as models run them, against the reference."""
    x, *_ = make_inputs((2, 33, 33, 4, 4, 8))
    weights = jnp.full((4, 8), 0.5)

    def loss(x, weights, plan):
        def layer(x, w):
            return x + plan(x * w, x, x * w), None

        return jnp.mean(jax.lax.scan(jax.checkpoint(layer), x, weights)[0] ** 2)

    grad = jax.jit(
        jax.grad(loss, argnums=(0, 1)), static_argnums=2, compiler_options=QUICK_COMPILE
    )
    for got, want in zip(
        grad(x, weights, plan), grad(x, weights, PLANS["reference"]), strict=True
    ):
        scale = float(jnp.abs(want).max())
        np.testing.assert_allclose(got, want, atol=1e-5 * scale)


@every_plan
def test_donated_inputs_give_the_same(plan):
    inputs = make_inputs()
    want = run(plan, *inputs)
    donating = jax.jit(
        lambda *x: evaluate(plan, x, {}),
        donate_argnums=(0, 1, 2, 3),
        compiler_options=QUICK_COMPILE,
    )
    got = donating(*inputs)
    assert all(x.is_deleted() for x in inputs[:3])
    for a, b in zip(got, want, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


@every_plan
def test_deterministic(plan):
    inputs = make_inputs(dtype=jnp.bfloat16)
    for a, b in zip(run(plan, *inputs), run(plan, *inputs), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("kernel", KERNELS.values(), ids=KERNELS)
def test_keys_in_parts_are_the_keys_together(kernel):
    """The carry forward and the shares backward, as a ring uses them."""
    q_BNKE, k_BSGE, v_BSGE, do_BNKE = make_inputs()
    q, v, do = (jnp.transpose(x, (0, 2, 3, 1)) for x in (q_BNKE, v_BSGE, do_BNKE))
    k = jnp.swapaxes(k_BSGE, 1, 2)
    segments = make_segments()
    segments["kv_segments_BS"][:, :20] %= 2  # segment 2 has keys in the last part only
    q_ids, kv_ids = segments.values()
    cuts = [slice(0, 20), slice(20, 37), slice(37, 50)]

    @functools.partial(jax.jit, compiler_options=QUICK_COMPILE)
    def in_parts(q, k, v, do):
        carry = None
        masks = [segments_mask(q_ids, kv_ids[:, cut]) for cut in cuts]
        for cut, mask in zip(cuts, masks, strict=True):
            carry = kernel.forward(q, k[:, :, cut], v[..., cut], mask, carry, scale=0.3)
            assert isinstance(carry, Carry) and carry.o_BKEN.dtype == jnp.float32
        di = jnp.sum(carry.o_BKEN * do, axis=2)
        shares = [
            kernel.backward(
                q, k[:, :, cut], v[..., cut], mask, do, carry.lse_BKN, di, scale=0.3
            )
            for cut, mask in zip(cuts, masks, strict=True)
        ]
        dqs, dks, dvs = zip(*shares, strict=True)
        return carry.o_BKEN, sum(dqs), jnp.concatenate(dks, 2), jnp.concatenate(dvs, 3)

    o, dq, dk, dv = in_parts(q, k, v, do)
    got = [jnp.transpose(x, (0, 3, 1, 2)) for x in (o, dq, dv)]
    got.insert(2, jnp.swapaxes(dk, 1, 2))
    want = truth(q_BNKE, k_BSGE, v_BSGE, do_BNKE, allowed_by(segments), 0.3)
    assert_close(got, want, reduction_of(SHAPE))
