"""Products of 8-bit numbers are near the exact ones; what is not to be rounded is not."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from videogen.nn.fence import Network
from videogen.nn.linear import Linear
from videogen.nn.quantized import quantized_einsum
from videogen.nn.stack import make_stack, run_stack

DIMS = {  # as layers ask: (x, kernel)
    "abi,io->abo": ((2, 5, 64), (64, 24)),
    "BSX,XKE->BKES": ((2, 5, 64), (64, 4, 8)),
    "BSX,XKE->BKSE": ((2, 5, 64), (64, 4, 8)),
    "BKEN,KED->BND": ((2, 4, 16, 5), (4, 16, 24)),
}
# Of normal numbers: half a step of 127 to the largest; 3 bits behind the point.
NEAR = {"int8": 0.015, "fp8": 0.05}


def normal(seed, shape):
    return jax.random.normal(jax.random.key(seed), shape)


def distance(a, b):
    return float(jnp.linalg.norm(a - b) / jnp.linalg.norm(b))


@pytest.mark.parametrize("name", NEAR)
@pytest.mark.parametrize("dims", DIMS)
def test_a_product_and_its_gradients_are_near(name, dims):
    x, kernel = (normal(seed, shape) for seed, shape in enumerate(DIMS[dims]))
    y, back = jax.vjp(lambda x, k: quantized_einsum(name, dims, x, k), x, kernel)
    exact, exact_back = jax.vjp(lambda x, k: jnp.einsum(dims, x, k), x, kernel)
    dy = normal(2, y.shape)
    (dx, dkernel), (exact_dx, exact_dkernel) = back(dy), exact_back(dy)
    for found, wanted in ((y, exact), (dx, exact_dx)):
        assert found.dtype == wanted.dtype
        assert 1e-4 < distance(found, wanted) < NEAR[name]
    np.testing.assert_allclose(dkernel, exact_dkernel, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", NEAR)
def test_a_row_of_large_numbers_spoils_no_other(name):
    x, kernel = normal(0, (3, 64)), normal(1, (64, 8))
    loud = quantized_einsum(name, "ni,io->no", x.at[1].mul(1e6), kernel)
    quiet = quantized_einsum(name, "ni,io->no", x, kernel)
    np.testing.assert_array_equal(loud[::2], quiet[::2])
    nothing = quantized_einsum(name, "ni,io->no", 0 * x, kernel)
    np.testing.assert_array_equal(nothing, 0)


class Layers(nnx.Module):
    """Two blocks between a first and a last layer."""

    def __init__(self, rngs):
        self.first, self.last = (Linear(16, 16, rngs=rngs) for _ in range(2))
        self.blocks = make_stack(lambda rngs: Linear(16, 16, rngs=rngs), 2, rngs)

    def __call__(self, x):
        return self.last(run_stack(self.blocks, lambda block, x: block(x), x))

    def ends(self, x):
        return self.last(self.first(x))


def test_tokens_in_blocks_are_rounded_and_conditions_are_not():
    network = Network.of(Layers)
    rounding = network.keeping({}, product_dtype="int8")
    params = network.init(jax.random.key(0))
    tokens, conditions = normal(1, (2, 5, 16)), normal(2, (2, 16))
    exact, rounded = (n.apply(params, tokens) for n in (network, rounding))
    assert 1e-4 < distance(rounded, exact) < 0.05
    for options in ({"method": "ends"}, {}):
        x = tokens if options else conditions
        np.testing.assert_array_equal(
            network.apply(params, x, **options), rounding.apply(params, x, **options)
        )


@pytest.mark.parametrize("wide", [False, True])
def test_kernels_have_gradients_in_either_dtype_of_sums(wide):
    network = Network.of(Layers).keeping({}, product_dtype="int8", wide=wide)
    params = network.init(jax.random.key(0))
    x = normal(1, (2, 5, 16))
    found = jax.grad(lambda params: jnp.sum(network.apply(params, x) ** 2))(params)
    exact = network.keeping({})
    wanted = jax.grad(lambda params: jnp.sum(exact.apply(params, x) ** 2))(params)
    path = "blocks.kernel"
    assert 1e-4 < distance(found[path], wanted[path]) < 0.05
