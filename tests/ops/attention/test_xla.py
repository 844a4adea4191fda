"""The XLA implementation: linear memory, what it saves, any chunk size."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from videogen.ops.attention import AttentionPlan

CHUNK = 128
XLA = AttentionPlan(implementation="xla", kv_chunk=CHUNK)
REFERENCE = AttentionPlan(implementation="reference")
NAMES = ("attention_o", "attention_lse")


def temp_size(plan, tokens, **keywords):
    """Bytes that forward and backward need beyond arguments and results."""

    def loss(q, k, v):
        return jnp.sum(plan(q, k, v, **keywords) ** 2)

    x = jax.ShapeDtypeStruct((1, tokens, 2, 32), jnp.float32)
    compiled = jax.jit(jax.value_and_grad(loss, (0, 1, 2))).lower(x, x, x).compile()
    analysis = compiled.memory_analysis()  # constants are in the code
    return analysis.temp_size_in_bytes + analysis.generated_code_size_in_bytes


def test_memory_is_linear_in_the_tokens():
    assert temp_size(XLA, 8192) < 2.2 * temp_size(XLA, 4096)
    assert temp_size(REFERENCE, 8192) > 3.8 * temp_size(REFERENCE, 4096)
    assert temp_size(XLA, 8192) < temp_size(REFERENCE, 8192) / 10


@pytest.mark.parametrize("array", (np.asarray, jnp.asarray), ids=("static", "dynamic"))
def test_a_mask_is_never_written_out(array):
    ids = array(np.arange(4096, dtype=np.int32)[None] // 100)
    masked = temp_size(XLA, 4096, q_segments_BN=ids, kv_segments_BS=ids)
    assert masked < temp_size(XLA, 4096) + 4096**2 / 10


def num_products(policy):
    """Matrix products in the whole program of loss and gradient, remat as the policy."""

    def loss(q, k, v):
        return jnp.sum(jax.checkpoint(XLA.__call__, policy=policy)(q, k, v) ** 2)

    x = jnp.ones((1, CHUNK, 2, 8))
    lowered = jax.jit(jax.grad(loss, (0, 1, 2))).lower(x, x, x)
    return lowered.as_text().count("stablehlo.dot_general")


def test_saving_the_names_spares_a_second_forward():
    policies = jax.checkpoint_policies
    forward, backward = 2, 5
    assert num_products(policies.save_only_these_names(*NAMES)) == forward + backward
    assert num_products(policies.nothing_saveable) == 2 * forward + backward


@pytest.mark.parametrize("tokens", (16, 17, 41))
def test_chunks_do_not_show(tokens):
    draw = np.random.default_rng(tokens)
    q, k, v = (jnp.asarray(draw.standard_normal((2, tokens, 2, 8))) for _ in "qkv")
    want = jax.jit(XLA.__call__)(q, k, v)
    for chunk in (1, 7, 16):
        plan = AttentionPlan(implementation="xla", kv_chunk=chunk)
        np.testing.assert_allclose(jax.jit(plan.__call__)(q, k, v), want, atol=2e-6)


def test_no_keys_at_all():
    q, k = jnp.ones((1, 3, 2, 8)), jnp.ones((1, 0, 2, 8))
    np.testing.assert_array_equal(XLA(q, k, k), jnp.zeros_like(q))
