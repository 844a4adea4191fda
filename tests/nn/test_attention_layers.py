"""Attention layers: masks hide, segments part, norms act where they say."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from videogen.nn.attention import CrossAttention, SelfAttention
from videogen.nn.fence import Network
from videogen.nn.position import grid_coordinates, rope, rope_split

X = jax.random.normal(jax.random.key(1), (2, 12, 32))
TEXT = jax.random.normal(jax.random.key(2), (2, 5, 16))


CROSS = CrossAttention(32, 4, kv_dim=16, qk_norm="rms_full", rngs=nnx.Rngs(0))
run = jax.jit(lambda layer, *args: layer(*args))


def test_masked_text_has_no_influence():
    mask = jnp.array([[1, 1, 0, 0, 0], [1, 1, 1, 1, 0]], bool)
    junk = jnp.where(mask[..., None], TEXT, 1e3)
    got = run(CROSS, X, TEXT, mask)
    np.testing.assert_array_equal(got, run(CROSS, X, junk, mask))
    assert not np.allclose(run(CROSS, X, TEXT), got, atol=1e-3)
    np.testing.assert_allclose(run(CROSS, X, TEXT[:, :2])[0], got[0], atol=1e-5)


def test_text_without_a_true_mask_adds_only_the_bias():
    got = run(CROSS, X, TEXT, jnp.zeros((2, 5), bool))
    want = jnp.broadcast_to(CROSS.to_out.bias[...], X.shape)
    np.testing.assert_array_equal(got, want)


def test_segments_make_a_pack_of_two_the_two_alone():
    layer = SelfAttention(32, 4, qk_norm="rms_head", rngs=nnx.Rngs(0))
    coords = jnp.concatenate([grid_coordinates((1, 2, 2)), grid_coordinates((2, 2, 2))])
    segments = jnp.array([[0] * 4 + [1] * 8] * 2)
    packed = run(layer, X, rope(coords, rope_split(8)), segments)
    for part in (slice(0, 4), slice(4, 12)):
        alone = run(layer, X[:, part], rope(coords[part], rope_split(8)))
        np.testing.assert_allclose(packed[:, part], alone, atol=1e-5)


@pytest.mark.parametrize(
    "qk_norm, dim", [(None, None), ("rms_full", 32), ("rms_head", 8)]
)
def test_norm_of_queries_and_keys(qk_norm, dim):
    def make(rngs):
        return SelfAttention(32, 4, qk_norm=qk_norm, bias=False, rngs=rngs)

    network = Network.of(make)
    shapes = {path: leaf.shape for path, leaf in network.abstract().items()}
    assert shapes.get("norm_q.scale") == (None if dim is None else (dim,))
    params = network.init(jax.random.key(0))
    louder = params | {"to_q.kernel": 9 * params["to_q.kernel"]}
    apply = jax.jit(network.apply)
    same = np.allclose(apply(params, X), apply(louder, X), atol=1e-4)
    assert same == (qk_norm is not None)
