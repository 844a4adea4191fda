"""Adapters: nothing at first, W + (alpha / rank) a b afterwards, cut like their kernel."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax.sharding import AbstractMesh, PartitionSpec

from videogen.core.errors import ConfigError
from videogen.nn.fence import Network
from videogen.nn.linear import Linear
from videogen.nn.lora import LoraConfig, adapter_rules, with_adapters
from videogen.nn.stack import make_stack, run_stack
from videogen.parallel.mesh import AXES
from videogen.parallel.rules import tree_shardings

CONFIG = LoraConfig(rank=2, alpha=6.0, targets=("up",))


class Layer(nnx.Module):
    def __init__(self, rngs):
        self.up = Linear(4, 8, rngs=rngs)
        self.down = Linear(8, 4, rngs=rngs)

    def __call__(self, x):
        return x + self.down(jnp.tanh(self.up(x)))


class Layers(nnx.Module):
    def __init__(self, rngs):
        self.blocks = make_stack(Layer, 3, rngs)

    def __call__(self, x):
        return run_stack(self.blocks, lambda block, x: block(x), x)


BASE = Network.of(Layers)
NETWORK = with_adapters(BASE, CONFIG)
A, B = "lora.blocks.up.kernel.a", "lora.blocks.up.kernel.b"


def test_a_new_adapter_changes_nothing_bit_for_bit():
    key, x = jax.random.key(0), jax.random.normal(jax.random.key(1), (5, 4))
    params = NETWORK.init(key)
    shapes = {path: leaf.shape for path, leaf in NETWORK.abstract().items()}
    assert {path: leaf.shape for path, leaf in params.items()} == shapes
    assert params.keys() - BASE.init(key).keys() == {A, B}
    assert (params[A].shape, params[B].shape) == ((3, 4, 2), (3, 2, 8))
    assert params[A].any() and not params[B].any()
    expected = jax.jit(BASE.apply)(BASE.init(key), x)
    np.testing.assert_array_equal(jax.jit(NETWORK.apply)(params, x), expected)


def test_a_trained_adapter_is_added_layer_by_layer():
    params = NETWORK.init(jax.random.key(0))
    params[B] = jax.random.normal(jax.random.key(2), params[B].shape)
    merged = NETWORK.merge(params)
    assert merged.keys() == BASE.abstract().keys()
    for layer in range(3):
        change = 3.0 * np.asarray(params[A][layer]) @ np.asarray(params[B][layer])
        expected = params["blocks.up.kernel"][layer] + change
        np.testing.assert_allclose(
            merged["blocks.up.kernel"][layer], expected, atol=1e-6
        )
    for path in merged.keys() - {"blocks.up.kernel"}:
        assert merged[path] is params[path]
    x = jnp.ones((2, 4))
    np.testing.assert_array_equal(NETWORK.apply(params, x), BASE.apply(merged, x))


def test_adapters_are_cut_as_their_kernel_is():
    table = (
        (r"up\.kernel$", ("layers", "embed", "mlp")),
        (r"down\.kernel$", ("layers", "mlp", "embed")),
        (r"bias$", ("layers", None)),
    )
    state = {"params": NETWORK.abstract(), "mu": {B: NETWORK.abstract()[B]}}
    mesh = AbstractMesh((1, 2, 1, 2), AXES)
    found = tree_shardings(state, adapter_rules(table, tuple(state["params"])), mesh)
    assert found["params"][A].spec == PartitionSpec(None, ("fsdp", "context"), None)
    assert found["params"][B].spec == PartitionSpec(None, None, "tensor")
    assert found["mu"][B].spec == found["params"][B].spec
    kernel = found["params"]["blocks.up.kernel"].spec
    assert kernel == PartitionSpec(None, ("fsdp", "context"), "tensor")


def test_rank_0_is_the_network_itself():
    assert with_adapters(BASE, LoraConfig()) is BASE
    assert adapter_rules((("x", (None,)),), ("x",)) == (("x", (None,)),)


@pytest.mark.parametrize(
    "fields, said",
    [
        (
            {"rank": 5},
            "config.lora.rank=5 is more than blocks.down.kernel has: at most 4",
        ),
        (
            {"rank": 1, "targets": ("bias",)},
            "config.lora.targets: 'bias' finds no kernel",
        ),
    ],
)
def test_adapters_that_cannot_be_are_named(fields, said):
    with pytest.raises(ConfigError, match=said):
        with_adapters(BASE, LoraConfig(**{"targets": ("kernel",), **fields}))
    with pytest.raises(ConfigError, match="lora.rank=-1"):
        LoraConfig(rank=-1)
