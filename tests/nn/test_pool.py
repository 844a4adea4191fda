"""A text's vector: padding is hidden, an empty text is finite, order does not matter."""

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from videogen.nn.pool import AttentionPool

POOL = AttentionPool(8, 2, 6, rngs=nnx.Rngs(0))
X = jax.random.normal(jax.random.key(1), (2, 5, 8))
MASK = jnp.array([[1, 1, 1, 0, 0], [0, 0, 0, 0, 0]], bool)


def test_what_is_masked_changes_nothing():
    junk = jnp.where(MASK[..., None], X, 50.0)
    np.testing.assert_allclose(POOL(X, MASK), POOL(junk, MASK), atol=1e-6)
    np.testing.assert_allclose(POOL(X[:1], MASK[:1]), POOL(X[:1, :3]), atol=1e-6)
    assert np.isfinite(POOL(X, MASK)).all()


def test_order_does_not_matter():
    np.testing.assert_allclose(POOL(X[:, ::-1]), POOL(X), atol=1e-6)


def test_it_is_attention_from_the_mean():
    mean = X.mean(1)
    tokens = jnp.concatenate([mean[:, None], X], axis=1)
    k, v = jnp.split(POOL.to_kv(tokens).reshape(2, 6, 2, 8), 2, axis=2)
    k, v = (x.reshape(2, 6, 2, 4) for x in (k, v))
    q = POOL.to_q(mean).reshape(2, 1, 2, 4)
    o = jax.nn.dot_product_attention(q, k, v).reshape(2, 8)
    np.testing.assert_allclose(POOL(X), POOL.to_out(o), atol=1e-5)
