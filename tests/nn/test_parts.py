"""The small parts: linear, norms, MLPs, time, labels, text, modulation."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from videogen.nn.label import LabelEmbedding
from videogen.nn.linear import INITS, Linear
from videogen.nn.mlp import MLP, SwiGLU
from videogen.nn.modulation import (
    LowRankModulation,
    ModulationMLP,
    chunks,
    gated_add,
    modulated_norm,
)
from videogen.nn.norm import LayerNorm, LayerNorm1p, RMSNorm, layer_norm
from videogen.nn.text import NormedProjection, TextProjection
from videogen.nn.timestep import TimestepEmbedding, sinusoid

RNGS = nnx.Rngs(0)


def normal(*shape, seed=1):
    return jax.random.normal(jax.random.key(seed), shape)


def test_linear_is_affine_in_the_dtype_of_its_input():
    linear = Linear(8, 5, rngs=RNGS)
    x = normal(2, 3, 8)
    np.testing.assert_allclose(linear(x), x @ linear.kernel[...], rtol=1e-6)
    assert linear(x.astype(jnp.bfloat16)).dtype == jnp.bfloat16
    assert linear.kernel[...].dtype == jnp.float32


@pytest.mark.parametrize(
    "init, std", [("xavier", 0.125), ("normal", 0.02), ("zeros", 0)]
)
def test_inits_have_their_spread(init, std):
    kernel = INITS[init](jax.random.key(0), (64, 64))
    assert float(kernel.std()) == pytest.approx(std, rel=0.05)


def test_layer_norm_has_zero_mean_unit_variance_in_float32():
    x = 100 + 3 * normal(4, 64)
    y = layer_norm(x.astype(jnp.bfloat16), 1e-6)
    assert y.dtype == jnp.float32
    np.testing.assert_allclose(y.mean(-1), 0, atol=1e-5)
    np.testing.assert_allclose(y.var(-1), 1, atol=1e-3)
    np.testing.assert_allclose(LayerNorm(64)(x), layer_norm(x, 1e-6))


def test_the_gain_of_a_1p_norm_is_one_and_its_scale():
    norm, x = LayerNorm1p(16), normal(3, 16)
    np.testing.assert_array_equal(norm.scale[...], 0)
    np.testing.assert_allclose(norm(x), layer_norm(x, 1e-6), rtol=1e-6)
    norm.scale[...], norm.bias[...] = norm.scale[...] + 0.5, norm.bias[...] + 2.0
    np.testing.assert_allclose(norm(x), 1.5 * layer_norm(x, 1e-6) + 2.0, rtol=1e-5)


def test_rms_norm_has_unit_rms_and_ignores_scale():
    norm, x = RMSNorm(16), normal(3, 16)
    np.testing.assert_allclose((norm(x) ** 2).mean(-1), 1, atol=1e-4)
    np.testing.assert_allclose(norm(7 * x), norm(x), atol=1e-5)


@pytest.mark.parametrize("kind", [MLP, SwiGLU])
def test_mlps_keep_shape_and_dtype(kind):
    y = kind(8, 32, rngs=RNGS)(normal(2, 3, 8).astype(jnp.bfloat16))
    assert (y.shape, y.dtype) == ((2, 3, 8), jnp.bfloat16)


def test_sinusoid_is_cosines_then_sines_of_a_thousand_t():
    t = jnp.array([0.0, 0.25, 1.0])
    got = np.asarray(sinusoid(t, 8))
    frequencies = 1e4 ** (-np.arange(4) / 4)
    angles = 1000 * np.array([0, 0.25, 1])[:, None] * frequencies
    want = np.concatenate([np.cos(angles), np.sin(angles)], -1)
    np.testing.assert_allclose(got, want, atol=2e-4)


def test_time_embedding_is_float32_and_takes_time_per_token():
    embed = TimestepEmbedding(16, 32, rngs=RNGS)
    t = jnp.array([[0.1, 0.2], [0.3, 0.4]])
    assert embed(t).shape == (2, 2, 32)
    np.testing.assert_allclose(embed(t)[1], embed(t[1]), rtol=1e-4, atol=1e-6)


def test_minus_one_is_the_null_class_and_unknown_labels_are_noticed():
    embed = LabelEmbedding(3, 8, rngs=RNGS)
    got = embed(jnp.array([-1, 3, 0, 4, -2]))
    np.testing.assert_array_equal(got[0], got[1])
    np.testing.assert_array_equal(got[0], embed.embedding_table[...][3])
    assert np.isfinite(got[:3]).all() and np.isnan(got[3:]).all()


def test_text_projection_keeps_the_dtype():
    y = TextProjection(6, 8, rngs=RNGS)(jnp.ones((2, 3, 6), jnp.bfloat16))
    assert (y.shape, y.dtype) == ((2, 3, 8), jnp.bfloat16)


def test_zero_modulation_is_the_plain_norm_and_a_shut_gate():
    mod = ModulationMLP(16, 3, rngs=RNGS)(normal(2, 16))
    assert mod.shape == (2, 3, 16)
    shift, scale, gate = chunks(mod)
    x = normal(2, 5, 16)
    np.testing.assert_allclose(modulated_norm(x, shift, scale), layer_norm(x, 1e-6))
    np.testing.assert_array_equal(gated_add(x, normal(2, 5, 16, seed=2), gate), x)


def test_a_new_low_rank_modulation_is_what_is_shared():
    low_rank = LowRankModulation(6, 2, 3, 8, rngs=RNGS)
    shared_BJD = normal(4, 3, 8)
    np.testing.assert_array_equal(low_rank(normal(4, 6), shared_BJD), shared_BJD)
    low_rank.linear_2.kernel[...] = normal(2, 24)
    more = low_rank(normal(4, 6), shared_BJD) - shared_BJD
    assert np.linalg.matrix_rank(more.reshape(4, 24), tol=1e-4) == 2


def test_normed_projection_takes_tokens_or_one_vector():
    projection = NormedProjection(6, 8, eps=1e-5, rngs=RNGS)
    text_BLX = normal(2, 3, 6)
    tokens = projection(text_BLX)
    np.testing.assert_allclose(projection(text_BLX[:, 1]), tokens[:, 1], atol=1e-5)
    np.testing.assert_allclose(tokens.mean(-1), 0, atol=1e-5)


def test_modulation_keeps_bfloat16():
    x, ones = jnp.ones((1, 2, 8), jnp.bfloat16), jnp.ones((1, 1, 8))
    assert modulated_norm(x, ones, ones).dtype == jnp.bfloat16
    assert gated_add(x, x, ones).dtype == jnp.bfloat16
