"""What a jaxpr says of a step: counted by hand on small functions."""

import jax
import jax.numpy as jnp
import pytest

from videogen.cost.analytic import work
from videogen.cost.analytic.work import CLIPS, Bytes
from videogen.ops.attention.across import Across
from videogen.ops.attention.api import AttentionPlan

N, D, M, LAYERS = 4, 8, 16, 3


def layer(x_BND, weights):
    up_DM, down_MD = weights
    hidden_BNM = jnp.sin(x_BND @ up_DM.astype(jnp.bfloat16))
    return x_BND + hidden_BNM @ down_MD.astype(jnp.bfloat16)


def traced(policy=None, remat=True):
    """Layers in a scan, and the gradients of their sum."""

    def loss(weights, x_BND):
        def body(x, w):
            return layer(x, w), None

        body = jax.checkpoint(body, policy=policy) if remat else body
        return jnp.sum(jax.lax.scan(body, x_BND, weights)[0].astype(jnp.float32))

    weights = jnp.zeros((LAYERS, D, M)), jnp.zeros((LAYERS, M, D))
    x = jax.ShapeDtypeStruct((CLIPS, N, D), jnp.bfloat16)
    return work.read(jax.make_jaxpr(jax.grad(loss))(weights, x).jaxpr, [(M,)])


FORWARD = LAYERS * 2 * (2 * N * D * M)  # two products a layer


def test_products_are_three_times_forward_and_again_what_is_recomputed():
    """Of the recomputation the last product of a layer is not needed."""
    assert traced(remat=False).product_flops == 3 * FORWARD
    assert traced().product_flops == pytest.approx(3.5 * FORWARD, rel=0.15)


def test_full_remat_keeps_the_input_of_each_layer():
    (stack,) = traced().stacks
    assert stack.layers == LAYERS
    assert stack.kept == Bytes(whole=LAYERS * N * D * 2.0)
    assert stack.weights == Bytes()


def test_dots_keeps_results_and_tells_those_that_tensor_cuts():
    policy = jax.checkpoint_policies.dots_with_no_batch_dims_saveable
    (stack,) = traced(policy).stacks
    assert stack.kept.cut == LAYERS * N * M * 2
    assert stack.kept.whole >= LAYERS * N * D * 2


def test_without_remat_weights_are_kept_as_they_are_cast():
    (stack,) = traced(remat=False).stacks
    assert stack.weights == Bytes(cut=2 * LAYERS * D * M * 2.0)


def test_parameters_of_blocks_that_take_turns_are_not_kept_again():
    """The second of a turn of two has a policy of its own, so each is cut out of its stack."""

    def loss(weights, x_BND):
        def body(x, turn):
            for place in range(2):
                one = [w[place] for w in turn]
                x = jax.checkpoint(layer, prevent_cse=False)(x, one)
            return x, None

        return jnp.sum(jax.lax.scan(body, x_BND, weights)[0].astype(jnp.float32))

    shapes = (LAYERS, 2, D, M), (LAYERS, 2, M, D)
    x = jax.ShapeDtypeStruct((CLIPS, N, D), jnp.bfloat16)
    weights = [jnp.zeros(shape) for shape in shapes]
    (stack,) = work.read(jax.make_jaxpr(jax.grad(loss))(weights, x).jaxpr).stacks
    assert stack.kept == Bytes(whole=LAYERS * 2 * N * D * 2.0)
    assert stack.weights == Bytes()


def test_bytes_of_weights_are_no_clips():
    found = traced(remat=False)
    operands = LAYERS * 2 * (N * D + N * M)  # of one product, forward, in bfloat16
    assert found.product_bytes.over(1) == 3 * 2 * operands
    assert found.weight_bytes == 3 * 2 * LAYERS * 2 * D * M


@pytest.mark.parametrize("heads, width, tokens", [(2, 128, 4096), (4, 64, 512)])
def test_a_kernel_says_the_pairs_that_it_visits(heads, width, tokens):
    plan = AttentionPlan(implementation="pallas_tpu", chip="v5e")
    shape = (CLIPS, tokens, heads, width)

    def loss(q, k, v):
        return jnp.sum(plan(q, k, v).astype(jnp.float32))

    qkv = [jax.ShapeDtypeStruct(shape, jnp.bfloat16)] * 3
    jaxpr = jax.make_jaxpr(jax.grad(loss, argnums=(0, 1, 2)))(*qkv)
    calls = work.read(jaxpr.jaxpr).kernels
    assert sorted(call.backward for call in calls) == [False, True]
    for call in calls:
        assert call.exchanges and call.head_dim == width and call.times == 1
        assert call.pairs == heads * tokens**2
        assert call.num_bytes == heads * tokens * width * 2


def test_a_kernel_without_products_writes_what_it_writes():
    """As attention across rows, of which the vector units do all."""
    q = jax.ShapeDtypeStruct((2 * CLIPS, 1, 8, 128), jnp.bfloat16)
    across = Across(rows=2, scale=1.0)
    found = work.read(jax.make_jaxpr(across)(q, q, q).jaxpr)
    assert not found.kernels
    assert found.loose_bytes == Bytes(whole=2.0 * 2 * 8 * 128)
