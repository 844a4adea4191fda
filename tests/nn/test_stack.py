"""A scanned, rematerialised stack is the plain loop over its blocks."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax._src.ad_checkpoint import saved_residuals
from jax.ad_checkpoint import checkpoint_name

from videogen.core.errors import ConfigError
from videogen.nn.linear import add_bias
from videogen.nn.stack import REMAT, make_stack, run_stack, run_turns

DEPTH = 4


class Block(nnx.Module):
    def __init__(self, rngs):
        self.kernel = nnx.Param(jax.random.normal(rngs.params(), (8, 8)) / 8)

    def __call__(self, x, shift):
        o = checkpoint_name(jnp.tanh(x @ self.kernel[...] + shift), "attention_o")
        return x + jnp.sin(o)


def blocks():
    return make_stack(Block, DEPTH, nnx.Rngs(0))


def loss(stack, shift, remat):
    x = jnp.linspace(-1, 1, 16).reshape(2, 8)
    return run_stack(stack, lambda block, x: block(x, shift), x, remat=remat).sum()


def test_scan_is_the_loop():
    stack, x, shift = blocks(), jnp.ones((2, 8)), jnp.float32(0.1)
    looped = x
    for layer in range(DEPTH):
        looped = jax.tree.map(lambda a, i=layer: a[i], stack)(looped, shift)
    scanned = run_stack(stack, lambda block, x: block(x, shift), x)
    np.testing.assert_allclose(scanned, looped, rtol=1e-6)


@pytest.mark.usefixtures("optimised")
@pytest.mark.parametrize("remat", ["none", "full"])
def test_turns_are_the_loop(remat):
    """Values, and gradients of the stack as it is."""
    x, shifts = jnp.linspace(-1, 1, 16).reshape(2, 8), (0.1, 0.7)

    def looped(stack):
        y = x
        for layer in range(DEPTH):
            block = jax.tree.map(lambda a, i=layer: a[i], stack)
            y = block(y, shifts[layer % 2])
        return (y**2).sum()

    def by_turns(stack):
        calls = [lambda block, x, s=shift: block(x, s) for shift in shifts]
        return (run_turns(stack, calls, x, remat=remat) ** 2).sum()

    want, got = (jax.value_and_grad(f)(blocks()) for f in (looped, by_turns))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), got, want)


@pytest.mark.parametrize(
    "remat", [*REMAT, "attention,full", "none,full,dots", "offload,full"]
)
def test_remat_changes_no_gradient(remat):
    args = blocks(), jnp.full((8,), 0.1)
    grad = jax.grad(loss, argnums=(0, 1))
    for got, want in zip(
        jax.tree.leaves(grad(*args, remat)),
        jax.tree.leaves(grad(*args, "none")),
        strict=True,
    ):
        np.testing.assert_allclose(got, want, rtol=1e-6, atol=1e-7)


def test_policies_save_what_they_say():
    """The backward scan's inputs of shape (depth, 2, 8): the stacked residuals."""

    def where_saved(remat):
        grad = jax.make_jaxpr(jax.grad(loss), static_argnums=2)
        equations = grad(blocks(), jnp.full((8,), 0.1), remat).eqns
        backward = [e for e in equations if e.primitive.name == "scan"][-1]
        avals = [v.aval for v in backward.invars]
        return [x.memory_space for x in avals if x.shape == (DEPTH, 2, 8)]

    host = jax.memory.Space.Host
    assert where_saved("offload") == [host, host]  # the input too
    saved = {remat: len(where_saved(remat)) for remat in REMAT}
    assert saved["full"] == 1, saved  # the block's input only
    assert saved["attention"] == 2, saved  # and the named output
    assert saved["self_attention"] == 2, saved
    assert saved["dots"] == 3, saved  # and the matmul
    assert saved["none"] >= 2, saved


def test_a_product_is_kept_with_its_bias_and_once():
    def block(x, kernel):
        return jnp.tanh(add_bias(x @ kernel, jnp.ones(4)))

    def loss(kernel):
        kept = jax.checkpoint(block, policy=REMAT["dots"], prevent_cse=False)
        return kept(jnp.ones((3, 2)), kernel).sum()

    kernel = jnp.ones((2, 4))
    shapes = [x.shape for x, _ in saved_residuals(loss, kernel)]
    assert shapes.count((3, 4)) == 1, shapes


@pytest.mark.parametrize("others", ["", ",full"])
def test_offloading_is_keeping_bit_for_bit(others):
    args, grad = (
        (blocks(), jnp.full((8,), 0.1)),
        jax.jit(jax.grad(loss), static_argnums=2),
    )
    got, want = (grad(*args, f"{x}{others}") for x in ("offload", "attention"))
    jax.tree.map(np.testing.assert_array_equal, got, want)


def test_unknown_policy_suggests_the_nearest():
    with pytest.raises(ConfigError, match="did you mean 'full'"):
        run_stack(blocks(), lambda block, x: x, jnp.ones(2), remat="ful")
