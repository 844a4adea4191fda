"""The TPU kernels beyond the contract: modes, carries, parts, room, races, two cores."""

import functools
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.experimental.pallas import tpu as pltpu
from ops.attention.contract import (
    assert_close,
    make_inputs,
    reduction_of,
    truth,
)

from videogen.core.errors import ConfigError
from videogen.ops.attention import steps
from videogen.ops.attention.local import EMPTY, Extent
from videogen.ops.attention.mask import Mask
from videogen.ops.attention.pallas_tpu import Blocks, PallasTpuKernel, bound

SMALL = Blocks(q=128, kv=256, step=128)
KERNEL = PallasTpuKernel(
    forward_blocks=SMALL,
    backward_blocks=replace(SMALL, q=256),
    few_keys=0,
    interpret=pltpu.InterpretParams(detect_races=True),
)
SHAPE = (1, 300, 600, 2, 1, 24)  # B, N, S, K, G, E: ragged in queries and keys


def core_layout(q, k, v, *rest):
    """q_BKEN, k_BGSE, v_BGES from (batch, tokens, heads, head dim)."""
    columns = (0, 2, 3, 1)
    return (
        q.transpose(columns),
        k.transpose(0, 2, 1, 3),
        v.transpose(columns),
        *(x.transpose(columns) for x in rest),
    )


NUMBERS = ("scale", "logit_bound", "num_kv")


@functools.partial(jax.jit, static_argnums=0, static_argnames=NUMBERS)
def run(kernel, inputs, mask=None, *, scale=None, logit_bound=None, num_kv=None):
    """(o, dq, dk, dv) as the contract lays them out, and lse_BKN."""
    scale = inputs[0].shape[3] ** -0.5 if scale is None else scale
    q, k, v, do = core_layout(*inputs)
    o, lse = kernel.forward(
        *(q, k, v, mask, None),
        scale=scale,
        logit_bound=logit_bound,
        dtype=q.dtype,
        num_kv=num_kv,
    )
    di = jnp.sum(do.astype(jnp.float32) * o.astype(jnp.float32), axis=2)
    dq, dk, dv = kernel.backward(
        *(q, k, v, mask, do, lse, di), scale=scale, dtype=q.dtype, num_kv=num_kv
    )
    back = (0, 3, 1, 2)
    o, dq, dv = (x.transpose(back) for x in (o, dq, dv))
    return (o, dq, dk.transpose(0, 2, 1, 3), dv), lse


def segments(shape=SHAPE, num=3):
    """Sorted ids, as packing makes them; static."""
    B, N, S, *_ = shape
    draw = np.random.default_rng(0)
    q, kv = (np.sort(draw.integers(0, num, (B, 1, n), np.int32)) for n in (N, S))
    return Mask(q_RFN=q, kv_RFS=kv, bounds=((0, 0),))


@pytest.mark.parametrize("mode", ("none", "bounded", "online"))
@pytest.mark.parametrize("dtype", (jnp.float32, jnp.bfloat16))
def test_every_mode(mode, dtype):
    inputs = make_inputs(SHAPE, dtype)
    got, _ = run(replace(KERNEL, mode=mode), inputs)
    assert_close(got, truth(*inputs), reduction_of(SHAPE))


@pytest.mark.usefixtures("optimised")
@pytest.mark.parametrize(
    "num_kv, mode",
    # 200 is both; any mode may meet it.
    (
        *((200, m) for m in ("none", "bounded", "online")),
        (256, "bounded"),
        (599, "online"),
    ),
)
def test_padding_of_a_part_of_a_block_and_of_whole_blocks(mode, num_kv):
    q, k, v, do = make_inputs(SHAPE)
    kernel, few = replace(KERNEL, mode=mode), slice(None, num_kv)
    (o, dq, dk, dv), _ = run(kernel, (q, k, v, do), num_kv=num_kv)
    got = o, dq, dk[:, few], dv[:, few]
    want, _ = run(kernel, (q, k[:, few], v[:, few], do))
    for a, b in zip(got, want, strict=True):
        np.testing.assert_array_equal(a, b)
    assert not dk[:, num_kv:].any() and not dv[:, num_kv:].any()


@pytest.mark.parametrize("mode", ("none", "online"))
def test_masks_in_every_mode_that_allows_them(mode):
    inputs, mask = make_inputs(SHAPE), segments()
    got, _ = run(replace(KERNEL, mode=mode), inputs, jax.tree.map(jnp.asarray, mask))
    assert_close(got, truth(*inputs, mask.attends()), reduction_of(SHAPE))


def modes_run(kernel, inputs, mask=None, **keywords):
    """The modes of the branches in the program, and the results."""
    q, k, v, _ = core_layout(*inputs)
    call = functools.partial(kernel.forward, scale=24**-0.5, **keywords)
    text = str(jax.make_jaxpr(lambda *x: call(*x, mask, None))(q, k, v))
    return {
        m for m in ("none", "bounded", "online") if f"attention_forward_{m}" in text
    }


def test_a_promise_leaves_one_kernel():
    inputs, kernel = make_inputs(SHAPE), replace(KERNEL, interpret=False, chip="v6e")
    assert modes_run(kernel, inputs) == {"none", "bounded", "online"}
    assert modes_run(kernel, inputs, segments()) == {"none", "online"}
    assert modes_run(kernel, inputs, logit_bound=40.0) == {"none"}
    assert modes_run(kernel, inputs, logit_bound=45.0) == {"none", "bounded", "online"}
    few = replace(kernel, few_keys=SHAPE[2])
    assert modes_run(few, inputs) == {"online"}
    assert modes_run(few, inputs, logit_bound=40.0) == {"none"}


@pytest.mark.usefixtures("optimised")
@pytest.mark.parametrize("size", (0.5, 40.0, 90.0, 300.0, 1e4))
@pytest.mark.parametrize("offset", (0.0, 1.0), ids=("random", "all keys alike"))
def test_no_size_of_logits_does_harm(size, offset):
    """The mode follows the data; queries that meet large keys of both signs, and one."""
    q, k, v, do = make_inputs(SHAPE)
    q, k = jnp.sign(q), jnp.round((1 - offset) * k + offset)
    scale = float(2.0 ** np.round(np.log2(size / 24)))
    inputs = (q, k, v, do)
    got, _ = run(KERNEL, inputs, scale=scale)
    # As in the contract: p from a saved logsumexp L has the relative error eps * |L|.
    p, ds = 2 * max(1.0, size), 2 * max(1.0, size) * max(1.0, scale)
    assert_close(
        got, truth(*inputs, scale=scale), reduction_of(SHAPE), factor=(2, ds, ds, p)
    )


@pytest.mark.parametrize("logit, value", ((68.0, 1e10), (40.0, 1e30), (700.0, 1e10)))
def test_no_size_of_values_does_harm(logit, value):
    """Scores that the exponential can take, of values that would then overflow."""
    q, k, v, do = make_inputs((1, 128, 128, 2, 2, 16))
    q, k = jnp.ones_like(q), jnp.ones_like(k)
    got, _ = run(KERNEL, (q, k, value * v, do), scale=logit / 16)
    want = truth(q, k, v, do, scale=logit / 16)
    scaled = [x / size for x, size in zip(got, (value, value, value, 1), strict=True)]
    # As above, dq and dk by what cancels in them, which here meets the scale.
    ds = 2 * max(1.0, logit)
    assert_close(scaled, want, 128, factor=(2, ds, ds, 2 * logit))


def test_equal_logits_too_large_to_be_bounded():
    """1e8 and its bound differ by rounding, which may be more than float32 has room for."""
    q, k, v, do = make_inputs((1, 128, 128, 16, 16, 128))
    q, k = (jnp.broadcast_to(q[:, :1], x.shape) for x in (q, k))
    got, _ = run(KERNEL, (q, k, v, do), scale=1e6)
    mean = jnp.broadcast_to(v.mean(1, keepdims=True), v.shape)
    np.testing.assert_allclose(got[0], mean, atol=1e-5)


def test_an_excluded_key_may_be_as_large_as_it_likes():
    inputs, mask = make_inputs(SHAPE), segments()
    hidden = replace(mask, kv_RFS=mask.kv_RFS.copy())
    hidden.kv_RFS[..., 5] = 9
    want, _ = run(
        replace(KERNEL, mode="online"), inputs, jax.tree.map(jnp.asarray, hidden)
    )
    q, k, v, do = inputs
    large = q, k.at[:, 5].set(1e30), v.at[:, 5].set(3e38), do
    got, _ = run(
        replace(KERNEL, mode="online"), large, jax.tree.map(jnp.asarray, hidden)
    )
    for a, b in zip(got, want, strict=True):
        np.testing.assert_array_equal(a, b)


def test_bounds_hold():
    q, k, *_ = core_layout(*make_inputs(SHAPE))
    s = 1.5 * bound.LOG2_E * np.einsum("bken,bgse->bkns", q, k)
    rows = bound.row_bound(q, 1.5, Extent.of(k, k))
    mean = bound.row_mean(q, k, 1.5)
    assert (np.abs(s).max(-1) <= np.asarray(rows)).all()
    np.testing.assert_allclose(s.mean(-1), mean, atol=1e-4)
    assert (s.max(-1) >= np.asarray(mean) - 1e-4).all()


@pytest.mark.parametrize("mode", ("none", "bounded", "online"))
def test_keys_in_two_calls(mode):
    """The carry of the first part of the keys, and the rest, make the whole."""
    kernel, (q, k, v, _) = replace(KERNEL, mode=mode), core_layout(*make_inputs(SHAPE))
    extent = Extent.of(k, v)
    add = functools.partial(kernel.forward, scale=0.2, extent=extent)
    whole = add(q, k, v, None, None)
    first = add(q, k[:, :, :170], v[..., :170], None, None)
    both = add(q, k[:, :, 170:], v[..., 170:], None, first)
    np.testing.assert_allclose(both.o_BKEN, whole.o_BKEN, atol=2e-6)
    # "bounded" takes the logarithm of sums as large as 2^100.
    np.testing.assert_allclose(both.lse_BKN, whole.lse_BKN, atol=2e-5)


@pytest.mark.usefixtures("optimised")
def test_a_carry_that_met_nothing():
    kernel, (q, k, v, _) = replace(KERNEL, mode=None), core_layout(*make_inputs(SHAPE))
    nothing = Mask(
        q_RFN=np.zeros((1, 1, 300), np.int32),
        kv_RFS=np.ones((1, 1, 600), np.int32),
        bounds=((0, 0),),
    )
    empty = kernel.forward(q, k, v, nothing, None, scale=0.2)
    assert not np.asarray(empty.o_BKEN).any() and (empty.lse_BKN == EMPTY).all()
    for mode in ("none", "bounded", "online"):
        add = functools.partial(replace(kernel, mode=mode).forward, scale=0.2)
        want = add(q, k, v, None, None)
        for a, b in zip(add(q, k, v, None, empty), want, strict=True):
            np.testing.assert_allclose(a, b, atol=2e-6)


@pytest.mark.parametrize("masked", (False, True))
def test_backward_in_parts_of_the_queries(masked):
    inputs, mask = make_inputs(SHAPE), segments() if masked else None
    call = functools.partial(run, inputs=inputs, mask=mask)
    (_, *whole), _ = jax.jit(lambda: call(KERNEL))()
    (_, *parts), _ = jax.jit(lambda: call(replace(KERNEL, max_queries=256)))()
    for a, b in zip(parts, whole, strict=True):
        np.testing.assert_allclose(a, b, atol=2e-6)


def test_a_list_without_room_is_not_a_number():
    (q, k, v, _), mask = core_layout(*make_inputs(SHAPE)), segments()
    needed = steps.forward_steps(mask, 300, 600, SMALL.q, SMALL.kv).flags.shape[1]
    assert needed < 3 * 3
    mask = jax.tree.map(jnp.asarray, mask)
    for room, whole in ((needed, True), (needed - 1, False)):
        kernel = replace(KERNEL, mode="none", max_steps=room)
        o = kernel.forward(q, k, v, mask, None, scale=0.2).o_BKEN
        assert (np.isfinite(o) if whole else np.isnan(o)).all()


def test_gradients_without_room_are_not_numbers():
    """Keys that no query attends make the backward list the longer one."""
    inputs, ids = make_inputs((2, 512, 512, 1, 1, 8)), np.zeros((2, 1, 512), np.int32)
    keys = np.stack([np.arange(512) // 128, ids[0, 0]])[:, None].astype(np.int32)
    mask = jax.tree.map(jnp.asarray, Mask(q_RFN=ids, kv_RFS=keys, bounds=((0, 0),)))
    sizes = replace(SMALL, kv=128)
    kernel = replace(KERNEL, forward_blocks=sizes, backward_blocks=sizes, max_steps=16)
    (o, *grads), _ = run(kernel, inputs, mask)
    assert all(np.isfinite(x).all() for x in (o, *grads))  # 16 steps, and 4 and 7
    (o, *grads), _ = run(replace(kernel, max_steps=6), inputs, mask)
    for x in grads:
        assert np.isnan(x).all()


def test_room_is_for_dynamic_masks_only():
    kernel, inputs = replace(KERNEL, max_steps=1), make_inputs(SHAPE)
    for mask in (None, segments()):
        got, _ = jax.jit(lambda mask=mask: run.__wrapped__(kernel, inputs, mask))()
        assert all(np.isfinite(x).all() for x in got)


@pytest.mark.parametrize(
    "G, heads, masked", ((6, 2, True), (2, 6, False), (2, 3, True), (1, 2, False))
)
def test_heads_that_share_a_step_change_nothing(G, heads, masked):
    """Key heads one each, several a step, one a step, one of several steps."""
    mode, dtype = ("online", jnp.float32) if masked else ("bounded", jnp.bfloat16)
    shape = (1, 140, 300, 6, G, 24)
    inputs, mask = make_inputs(shape, dtype), segments(shape) if masked else None
    sizes, kernel = replace(SMALL, heads=heads), replace(KERNEL, mode=mode)
    shared = replace(kernel, forward_blocks=sizes, backward_blocks=sizes)
    alone = replace(kernel, forward_blocks=SMALL, backward_blocks=SMALL)
    got, want = (
        jax.jit(functools.partial(run, kernel))(inputs=inputs, mask=mask)
        for kernel in (shared, alone)
    )
    for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(want), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("masked", (False, True))
def test_one_buffer_of_the_keys_changes_nothing(masked):
    mask = segments() if masked else None
    inputs = make_inputs(SHAPE, jnp.bfloat16)
    single = replace(KERNEL, backward_blocks=replace(SMALL, q=256, buffers=1))
    for one, two in zip(
        run(single, inputs, mask)[0], run(KERNEL, inputs, mask)[0], strict=True
    ):
        np.testing.assert_array_equal(np.asarray(one), np.asarray(two))


def test_no_races_on_one_core_or_two():
    inputs = make_inputs((2, 300, 300, 3, 3, 16))
    for cores in (1, 2):
        params = pltpu.InterpretParams(
            detect_races=True, num_cores_or_threads=cores, random_seed=1
        )
        got, _ = run(replace(KERNEL, interpret=params), inputs)
        assert_close(got, truth(*inputs), 300)


@pytest.mark.parametrize("logit, harm", ((75.0, None), (95.0, "nan"), (-95.0, "zeros")))
def test_what_a_broken_promise_does(logit, harm):
    """As `attention` says of logit_bound; every score is the same."""
    q, k, v, do = make_inputs((1, 128, 128, 2, 2, 16))
    inputs, scale = (jnp.ones_like(q), jnp.ones_like(k), v, do), logit / 16
    got, _ = run(KERNEL, inputs, scale=scale, logit_bound=41.0)
    if harm is None:
        mean = jnp.broadcast_to(v.mean(1, keepdims=True), v.shape)
        np.testing.assert_allclose(got[0], mean, atol=1e-4)
        return
    assert jnp.isnan(got[0]).all() if harm == "nan" else (got[0] == 0).all()
    assert not any(jnp.isfinite(x).all() for x in got[1:3])  # dq, dk


def test_refusals():
    q, k, v, _ = core_layout(*make_inputs(SHAPE, jnp.float16))
    with pytest.raises(NotImplementedError, match="cast to bfloat16"):
        KERNEL.check(q, k, v, None)
    with pytest.raises(NotImplementedError, match="needs a TPU, or chip="):
        PallasTpuKernel().check(*(x.astype(jnp.bfloat16) for x in (q, k, v)), None)
    with pytest.raises(ConfigError, match="q=100 must be a multiple of 128"):
        Blocks(q=100, kv=256, step=128)
    with pytest.raises(ConfigError, match="step=256 must divide kv=384"):
        Blocks(q=128, kv=384, step=256)
    with pytest.raises(ConfigError, match="heads=0 must be at least 1"):
        Blocks(q=128, kv=128, step=128, heads=0)
    with pytest.raises(ConfigError, match="buffers=3 must be 1 or 2"):
        Blocks(q=128, kv=128, step=128, buffers=3)
    with pytest.raises(ConfigError, match="max_queries=0 must be at least 1"):
        PallasTpuKernel(max_queries=0)
    for K, G, heads in ((6, 6, 4), (6, 2, 2)):
        inputs = make_inputs((1, 5, 5, K, G, 8))
        kernel = replace(KERNEL, forward_blocks=replace(SMALL, heads=heads))
        with pytest.raises(ConfigError, match=f"heads={heads} must divide the 6 query"):
            run(kernel, inputs)
