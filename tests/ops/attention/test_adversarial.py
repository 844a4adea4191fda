"""Inputs made to break a softmax: every implementation gives the truth or exact zeros."""

from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest
from ops.attention.contract import (
    NONFINITE_STAYS,
    PALLAS_TPU,
    PLANS,
    SHAPE,
    allowed_by,
    assert_close,
    every_plan,
    make_inputs,
    make_segments,
    reduction_of,
    run,
    truth,
)

from videogen.ops.attention import AttentionPlan

REDUCTION = reduction_of(SHAPE)


@every_plan
@pytest.mark.parametrize("size", (1e4, 1e-30), ids=("huge", "tiny"))
def test_extreme_logits(plan, size):
    """Logits of 1e4 either side of zero, one-hot rows, and logits next to nothing."""
    q, k, v, do = make_inputs()
    # Small integers and a power of two: float32 holds every logit exactly.
    q, k = jnp.sign(q), jnp.round(k)
    scale = float(2.0 ** np.ceil(np.log2(size / 10)))
    segments = make_segments()
    got = run(plan, q, k, v, do, **segments, scale=scale)
    want = truth(q, k, v, do, allowed_by(segments), scale)
    # p from a saved logsumexp L has the relative error eps * |L|; in dq and dk, dp - D
    # cancels to rounding in a one-hot row and then meets the scale.
    p, ds = 2 * max(1.0, size / 10), 2 * max(1.0, scale)
    assert_close(got, want, REDUCTION, factor=(2.0, ds, ds, p))


@every_plan
@pytest.mark.parametrize("sign", (-1, 1), ids=("low", "high"))
def test_equal_logits_far_from_zero(plan, sign):
    """All logits are -1e4 or 1e4: the values' mean, and p = 1 / S in every gradient."""
    q, k, v, do = make_inputs()
    q, k = jnp.ones_like(q), jnp.full_like(k, sign * 1e4 / 3)
    got = run(plan, q, k, v, do)
    mean_B1KE = jnp.repeat(v.mean(1, keepdims=True), 3, 2)
    np.testing.assert_allclose(got[0], jnp.broadcast_to(mean_B1KE, q.shape), atol=1e-5)
    dv_B1GE = do.reshape(2, 33, 2, 3, 9).sum((1, 3))[:, None] / 50
    # The logsumexp of 1e4 is rounded to 1e-3, and p = exp(s - L) with it.
    np.testing.assert_allclose(got[3], jnp.broadcast_to(dv_B1GE, v.shape), atol=5e-3)


@every_plan
def test_one_hot_rows_read_one_value(plan):
    """Query n has all its weight on key n."""
    B, N, _, K, G, E = SHAPE
    _, _, v, do = make_inputs()
    codes_NE = np.random.default_rng(2).permutation(2**E)[:50, None] >> np.arange(E) & 1
    k_SE = jnp.asarray(2.0 * codes_NE - 1, jnp.float32)  # distinct corners of a cube
    k = jnp.broadcast_to(k_SE[None, :, None], v.shape)
    q = jnp.broadcast_to(k_SE[None, :N, None], do.shape)
    o, dq, dk, dv = run(plan, q, k, v, do, scale=32.0)
    np.testing.assert_allclose(o, jnp.repeat(v[:, :N], K // G, 2), atol=1e-6)
    np.testing.assert_allclose(dq, 0, atol=1e-3)
    np.testing.assert_allclose(dk, 0, atol=1e-3)
    want_dv = do.reshape(B, N, G, K // G, E).sum(3)
    # exp(288 - L), and L is rounded to 3e-5.
    np.testing.assert_allclose(dv[:, :N], want_dv, atol=2e-4)
    np.testing.assert_allclose(dv[:, N:], 0, atol=1e-6)


@every_plan
def test_no_key_is_zero_with_zero_gradients(plan):
    q, k, v, do = make_inputs()
    ids = [np.full(x.shape[:2], i, np.int32) for i, x in enumerate((q, k))]
    results = run(plan, 1e4 * q, k, v, do, q_segments_BN=ids[0], kv_segments_BS=ids[1])
    for x in results:
        assert not np.asarray(x).any()


def with_an_excluded_segment():
    """Inputs, and segments of which one has keys but no query."""
    inputs, segments = make_inputs(), make_segments(num=2)
    segments["kv_segments_BS"][:, 7:18] = 5
    return inputs, segments


# The kernel that looks for its mode in the data finds another one in other junk.
ONE_MODE = PLANS | {
    "pallas_tpu": AttentionPlan(implementation=replace(PALLAS_TPU, mode="online"))
}


@pytest.mark.parametrize("plan", ONE_MODE.values(), ids=ONE_MODE)
@pytest.mark.parametrize("junk", (0.0, -3e4, 1e15))
def test_excluded_keys_have_no_influence(plan, junk):
    (q, k, v, do), segments = with_an_excluded_segment()
    out = (segments["kv_segments_BS"] == 5)[..., None, None]
    want = run(plan, q, k, v, do, **segments)
    k, v = (jnp.where(out, junk, x) for x in (k, v))
    got = run(plan, q, k, v, do, **segments)
    assert not np.asarray(got[2][:, 7:18]).any()
    assert not np.asarray(got[3][:, 7:18]).any()
    for a, b in zip(got, want, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("junk", (0.0, -3e4, 1e15))
def test_excluded_keys_may_change_the_mode_but_not_the_truth(junk):
    (q, k, v, do), segments = with_an_excluded_segment()
    out = (segments["kv_segments_BS"] == 5)[..., None, None]
    k, v = (jnp.where(out, junk, x) for x in (k, v))
    got = run(PLANS["pallas_tpu"], q, k, v, do, **segments)
    assert_close(got, truth(q, k, v, do, allowed_by(segments)), REDUCTION)


@pytest.mark.parametrize("name", NONFINITE_STAYS)
@pytest.mark.parametrize("junk", (np.nan, np.inf, -np.inf))
@pytest.mark.parametrize("where", ("k", "v"))
def test_a_key_that_is_not_finite_shows_where_it_is_attended_only(name, junk, where):
    (q, k, v, do), segments = with_an_excluded_segment()
    plan, ids = PLANS[name], segments["kv_segments_BS"]
    want = run(plan, q, k, v, do, **segments)
    bad = {"k": k, "v": v}
    # One key that no query attends, and one that only those of segment 1 do.
    hit = int(np.flatnonzero(ids[0] == 1)[0])
    bad[where] = bad[where].at[0, 8, 0, 2].set(junk).at[0, hit, 0, 3].set(junk)
    got = run(plan, q, bad["k"], bad["v"], do, **segments)
    spoilt_q = np.zeros(q.shape, bool)
    spoilt_q[0, segments["q_segments_BN"][0] == 1, :3] = True  # heads 0, 1, 2 read 0
    spoilt_kv = np.zeros(k.shape, bool)
    spoilt_kv[0, ids[0] == 1, 0] = True
    assert np.isnan(got[0][spoilt_q]).all() and np.isnan(got[1][spoilt_q]).all()
    for a, b, spoilt in zip(got, want, [spoilt_q] * 2 + [spoilt_kv] * 2, strict=True):
        np.testing.assert_array_equal(np.asarray(a)[~spoilt], np.asarray(b)[~spoilt])


@every_plan
def test_denormals(plan):
    """Numbers that may be flushed to zero, anywhere: a mean of the values, or zero."""
    q, k, v, do = make_inputs()
    o, dq, dk, dv = run(plan, *(1e-40 * x for x in (q, k, v, do)))
    for x in (o, dq, dk, dv):
        assert np.abs(x).max() < 1e-38
    o, *_ = run(plan, 1e-40 * q, k, v, do)
    np.testing.assert_allclose(
        o, np.repeat(v.mean(1, keepdims=True), 3, 2) + 0 * o, atol=1e-6
    )
