"""The entry: picks, refuses with reasons, and says what would work."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from videogen.core.errors import ConfigError
from videogen.ops.attention import AttentionPlan, api, attention


def zeros(*shape, dtype=jnp.float32):
    return jnp.zeros(shape, dtype)


Q, KV = zeros(2, 6, 4, 8), zeros(2, 5, 2, 8)
IDS_Q, IDS_KV = zeros(2, 6, dtype=jnp.int32), zeros(2, 5, dtype=jnp.int32)


def refuse(*args):
    raise NotImplementedError("needs a moon")


@pytest.mark.parametrize(
    "q, k, v, segments, message",
    [
        (Q[0], KV, KV, {}, r"q has shape \(6, 4, 8\); needs 4 dims \(B, N, K, E\)"),
        (Q, KV[0], KV, {}, r"k has shape \(5, 2, 8\); needs 4 dims \(B, S, G, E\)"),
        (Q, KV, KV[:, :4], {}, "need the same shape"),
        (Q[:1], KV, KV, {}, "same batch size"),
        (Q[..., :4], KV, KV, {}, "same head dim"),
        (Q[:, :, :3], KV, KV, {}, "2 key/value heads do not divide 3 query heads"),
        (Q.astype(jnp.bfloat16), KV, KV, {}, "cast them to one dtype"),
        (Q.astype(jnp.int32), KV, KV, {}, "q is int32; cast it to bfloat16"),
        (Q, KV, KV, {"q_segments_BN": IDS_Q}, "give both"),
        (
            Q,
            KV,
            KV,
            {"q_segments_BN": IDS_Q, "kv_segments_BS": IDS_Q},
            r"kv_segments_BS has shape \(2, 6\); needs \(2, 5\)",
        ),
        (
            Q,
            KV,
            KV,
            {"q_segments_BN": IDS_Q, "kv_segments_BS": IDS_KV.astype(jnp.float32)},
            "kv_segments_BS is float32; needs integer ids",
        ),
    ],
)
def test_bad_arrays_get_one_line(q, k, v, segments, message):
    with pytest.raises(ValueError, match=message) as error:
        attention(q, k, v, **segments)
    assert "\n" not in str(error.value)


def test_unknown_implementation_is_named():
    with pytest.raises(ConfigError, match="'refrence' does not exist .*'reference'"):
        attention(Q, KV, KV, implementation="refrence")
    with pytest.raises(ConfigError, match="kv_chunk=0 must be at least 1"):
        AttentionPlan(kv_chunk=0)


def test_order_of_preference(monkeypatch):
    monkeypatch.setitem(api.IMPLEMENTATIONS, "lunar", refuse)
    o = attention(Q, KV, KV, implementation=["lunar", "reference"])
    assert o.shape == Q.shape


def test_every_reason_is_given(monkeypatch):
    monkeypatch.setitem(api.IMPLEMENTATIONS, "lunar", refuse)
    monkeypatch.setitem(api.IMPLEMENTATIONS, "solar", refuse)
    with pytest.raises(ConfigError, match="lunar: needs a moon; solar: needs a moon"):
        attention(Q, KV, KV, implementation=("lunar", "solar"))


def test_a_plan_is_a_static_argument_and_the_same_as_the_function():
    plan = AttentionPlan(implementation="xla")
    assert hash(plan) == hash(AttentionPlan(implementation="xla"))
    q, k, v = (
        jax.random.normal(jax.random.key(i), x.shape) for i, x in enumerate((Q, KV, KV))
    )
    call = jax.jit(lambda plan, *x: plan(*x), static_argnums=0)
    np.testing.assert_array_equal(call(plan, q, k, v), jax.jit(attention)(q, k, v))
