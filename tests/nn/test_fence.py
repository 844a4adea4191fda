"""The fence: a module comes back the same from a plain dict of arrays."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from videogen.nn.fence import Network
from videogen.nn.stack import make_stack, run_stack


class Block(nnx.Module):
    def __init__(self, rngs):
        self.kernel = nnx.Param(jax.random.normal(rngs.params(), (4, 4)))

    def __call__(self, x):
        return x + jnp.tanh(x @ self.kernel[...])


class Tower(nnx.Module):
    def __init__(self, depth, rngs):
        self.blocks = make_stack(Block, depth, rngs)
        self.heads = nnx.List([Block(rngs), Block(rngs)])

    def __call__(self, x, *, sign=1):
        x = run_stack(self.blocks, lambda block, x: block(x), x)
        return sign * self.heads[1](self.heads[0](x))


MAKE = functools.partial(Tower, 3)


def test_init_and_abstract_agree_and_paths_are_dotted():
    network = Network.of(lambda rngs: MAKE(rngs=rngs))
    params = jax.jit(network.init)(jax.random.key(0))
    assert sorted(params) == ["blocks.kernel", "heads.0.kernel", "heads.1.kernel"]
    assert params["blocks.kernel"].shape == (3, 4, 4)
    shapes = {k: jax.ShapeDtypeStruct(v.shape, v.dtype) for k, v in params.items()}
    assert shapes == network.abstract()


def test_apply_is_the_module():
    network = Network.of(lambda rngs: MAKE(rngs=rngs))
    x = jnp.arange(8.0).reshape(2, 4)
    params = network.init(jax.random.key(3))
    module = MAKE(rngs=nnx.Rngs(jax.random.key(3)))
    got = network.apply(params, x, sign=-1)
    np.testing.assert_allclose(got, module(x, sign=-1), rtol=1e-6)


def test_init_is_a_function_of_the_key_and_layers_differ():
    network = Network.of(lambda rngs: MAKE(rngs=rngs))
    one, same, other = (network.init(jax.random.key(seed)) for seed in (0, 0, 1))
    kernel = one["blocks.kernel"]
    assert (kernel == same["blocks.kernel"]).all()
    assert (kernel != other["blocks.kernel"]).any()
    assert (kernel[0] != kernel[1]).any()


def test_gradients_are_a_dict_of_the_same_paths():
    network = Network.of(lambda rngs: MAKE(rngs=rngs))
    params = network.init(jax.random.key(0))
    grads = jax.grad(lambda p: network.apply(p, jnp.ones((2, 4))).sum())(params)
    assert grads.keys() == params.keys()


def test_wrong_paths_are_named():
    network = Network.of(lambda rngs: MAKE(rngs=rngs))
    params = network.init(jax.random.key(0))
    params["more"] = params.pop("blocks.kernel")
    with pytest.raises(ValueError, match=r"missing: \['blocks.kernel'\].*\['more'\]"):
        network.apply(params, jnp.ones((2, 4)))
