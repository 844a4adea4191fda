"""Attention layers: masks hide, segments part, norms act where they say."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from videogen.nn.attention import CrossAttention, SelfAttention, TextAttention
from videogen.nn.fence import Network
from videogen.nn.position import grid_coordinates, rope, rope_split, rotate
from videogen.ops.attention.api import AttentionPlan, attention
from videogen.ops.attention.local import Carry
from videogen.ops.attention.patterns import Spatial

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


def test_a_text_attends_itself_without_its_padding():
    layer = TextAttention(16, 2, qk_norm="rms_head", rngs=nnx.Rngs(0))
    mask = jnp.array([[1, 1, 0, 0, 0], [1, 1, 1, 1, 0]], bool)
    got = run(layer, TEXT, None, mask)
    assert not np.allclose(run(layer, TEXT), got, atol=1e-3)
    for row, length in enumerate((2, 4)):
        alone = run(layer, TEXT[row : row + 1, :length])
        np.testing.assert_allclose(got[row, :length], alone[0], atol=1e-5)


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


def by_tokens_first(layer, x, kv, rotation=None, segments=None):
    """The layer as (B, N, K, E) says it, with the softmax of the attention's default."""

    def heads(linear, x, norm=None):
        x = linear(x)
        x = norm(x) if norm is not None and layer.qk_norm == "rms_full" else x
        x = x.reshape(*x.shape[:2], layer.num_heads, -1)
        return norm(x) if norm is not None and layer.qk_norm == "rms_head" else x

    q, k = heads(layer.to_q, x, layer.norm_q), heads(layer.to_k, kv, layer.norm_k)
    if rotation is not None:
        q, k = (rotate(z, *(t[:, None] for t in rotation)) for z in (q, k))
    q_segments, kv_segments = (None, None) if segments is None else segments
    o = attention(
        q,
        k,
        heads(layer.to_v, kv),
        q_segments_BN=q_segments,
        kv_segments_BS=kv_segments,
        implementation="reference",
    )
    return layer.to_out(o.reshape(*o.shape[:2], -1))


def random_layer(kind, **keywords):
    """Biases and norms' scales are not what a new layer has, so that they count."""
    layer = kind(32, 4, rngs=nnx.Rngs(0), **keywords)
    leaves, treedef = jax.tree.flatten(layer)
    keys = jax.random.split(jax.random.key(4), len(leaves))
    noisy = [
        x + 0.3 * jax.random.normal(k, x.shape)
        for x, k in zip(leaves, keys, strict=True)
    ]
    return treedef.unflatten(noisy)


def assert_same_with_gradients(got, want, layer):
    """Values and gradients of two functions of the layer."""
    target = jax.random.normal(jax.random.key(5), X.shape)

    def value_and_gradients(function):
        return jax.value_and_grad(lambda x: jnp.sum(function(x) * target))

    got, want = (
        jax.tree.leaves(jax.jit(value_and_gradients(f))(layer)) for f in (got, want)
    )
    error = 2e-6 * max(abs(x).max() for x in want)
    for a, b in zip(got, want, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=error)


@pytest.mark.usefixtures("optimised")
@pytest.mark.parametrize(
    "qk_norm, turned", [(None, False), ("rms_full", True), ("rms_head", True)]
)
def test_self_attention_is_what_it_is_with_tokens_first(qk_norm, turned):
    layer = random_layer(SelfAttention, qk_norm=qk_norm)
    rotation = rope(grid_coordinates((2, 2, 3)), rope_split(8)) if turned else None
    segments = jnp.array([[0] * 4 + [1] * 8] * 2)
    assert_same_with_gradients(
        lambda layer: layer(X, rotation, segments),
        lambda layer: by_tokens_first(layer, X, X, rotation, (segments, segments)),
        layer,
    )


@pytest.mark.parametrize("qk_norm", [None, "rms_full"])
def test_cross_attention_is_what_it_is_with_tokens_first(qk_norm):
    layer = random_layer(CrossAttention, kv_dim=16, qk_norm=qk_norm)
    mask = jnp.array([[1, 1, 0, 0, 0], [1, 1, 1, 1, 0]], bool)
    segments = jnp.ones(X.shape[:2], jnp.int32), mask.astype(jnp.int32)
    assert_same_with_gradients(
        lambda layer: layer(X, TEXT, mask),
        lambda layer: by_tokens_first(layer, X, TEXT, segments=segments),
        layer,
    )


def test_a_pattern_reaches_self_attention_and_spares_cross_attention():
    plan = AttentionPlan(pattern=Spatial())
    coords = grid_coordinates((3, 2, 2))
    frames = jnp.asarray(coords[:, 0], jnp.int32)[None].repeat(2, 0)
    layer = SelfAttention(32, 4, plan=plan, rngs=nnx.Rngs(0))
    got = jax.jit(lambda layer: layer(X, coords_N4=coords))(layer)
    want = run(SelfAttention(32, 4, rngs=nnx.Rngs(0)), X, None, frames)
    np.testing.assert_allclose(got, want, atol=1e-6)
    norm = {"kv_dim": 16, "qk_norm": "rms_full"}
    cross = CrossAttention(32, 4, **norm, plan=plan, rngs=nnx.Rngs(0))
    np.testing.assert_array_equal(run(cross, X, TEXT), run(CROSS, X, TEXT))


@dataclass(frozen=True)
class NoProducts:
    """A kernel whose only use is that it holds no transpose and no product."""

    uses_extent = False

    def check(self, q, k, v, mask):
        pass

    def forward(self, q, k, v, mask, carry, *, scale, logit_bound=None, dtype=None):
        return Carry(q * k.sum() * v.sum() * scale, q.sum(2))

    def backward(self, q, k, v, mask, do, lse, di, *, scale, dtype=None):
        return q * do, k * lse.sum(), v * di.sum()


def equations(jaxpr):
    """All of a jaxpr's, with the jaxpr that holds each."""
    for equation in jaxpr.eqns:
        yield jaxpr, equation
        for value in jax.tree.leaves(
            equation.params, is_leaf=lambda x: hasattr(x, "eqns")
        ):
            value = getattr(value, "jaxpr", value)
            if hasattr(value, "eqns"):
                yield from equations(value)


def stray_transposes(jaxpr, size):
    """Of arrays of that size or more, but for those of a product's operand or result.

    In those a product says which of its dims is where: to the compiler it is one operation.
    """
    stray = []
    for outer, equation in equations(jaxpr):
        if (
            equation.primitive.name != "transpose"
            or equation.invars[0].aval.size < size
        ):
            continue
        (source,), (target,) = equation.invars, equation.outvars
        made = [e.primitive.name for e in outer.eqns if source in e.outvars]
        used = [e.primitive.name for e in outer.eqns if target in e.invars]
        if made != ["dot_general"] and set(used) != {"dot_general"}:
            stray.append(equation)
    return stray


@pytest.mark.parametrize("qk_norm", [None, "rms_full", "rms_head"])
def test_nothing_as_large_as_a_query_is_transposed(qk_norm):
    plan = AttentionPlan(implementation=NoProducts())
    one = SelfAttention(32, 4, qk_norm=qk_norm, plan=plan, rngs=nnx.Rngs(0))
    other = CrossAttention(
        32, 4, kv_dim=16, qk_norm=qk_norm, plan=plan, rngs=nnx.Rngs(0)
    )
    rotation = rope(grid_coordinates((2, 2, 3)), rope_split(8))

    def loss(layers, x):
        return jnp.sum(layers[1](layers[0](x, rotation), TEXT) ** 2)

    jaxpr = jax.make_jaxpr(jax.grad(loss, argnums=(0, 1)))((one, other), X)
    assert any(e.primitive.name == "dot_general" for _, e in equations(jaxpr.jaxpr))
    assert not stray_transposes(jaxpr.jaxpr, TEXT.size)
    jaxpr = jax.make_jaxpr(lambda x: jnp.tanh(x.swapaxes(1, 2)))(X)
    assert len(stray_transposes(jaxpr.jaxpr, TEXT.size)) == 1
