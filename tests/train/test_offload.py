"""One layer after another is all of them together, for whatever is kept on the host."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from videogen.core.types import Array
from videogen.parallel.host_memory import HOST
from videogen.train.offload import in_turns
from videogen.train.optimizer import OptimizerConfig, make_optimizer

# Two stacks, of 2 and of 3 layers, and what is in neither.
SHAPES = {
    "a.kernel": (2, 3, 4),
    "a.bias": (2, 4),
    "b.kernel": (3, 4, 4),
    "head.kernel": (4, 3),
}
STACKED = [path for path in SHAPES if not path.startswith("head")]


def filled(seed, scale=1.0):
    keys = jax.random.split(jax.random.key(seed), len(SHAPES))
    return {
        path: scale * jax.random.normal(key, shape)
        for key, (path, shape) in zip(keys, SHAPES.items(), strict=True)
    }


def sent(state):
    """The moments and averages of stacks to the host."""

    def move(keys, leaf):
        path = jax.tree_util.keystr(keys, simple=True, separator=".")
        stacked = any(path.endswith(name) for name in STACKED)
        kind = HOST if stacked and not path.startswith("0.") else "device"
        return jax.device_put(leaf, leaf.sharding.with_memory_kind(kind))

    return jax.tree_util.tree_map_with_path(move, state)


def places(state):
    return jax.tree.map(lambda leaf: leaf.sharding, state)


def steps(config, state):
    """The states after two steps, and where the last one is."""
    optimizer = make_optimizer(config)

    @jax.jit
    def step(state, grads):
        norm = optax.tree.norm(grads)

        def update(old, grads, layer: Array | None):
            params, opt_state, averages = old
            updates, opt_state = optimizer.update(
                grads, opt_state, params, norm=norm, layer=layer
            )
            params = optax.apply_updates(params, updates)
            return params, opt_state, jax.tree.map(jnp.add, averages, params)

        return in_turns(update, state, grads, state[2])

    step = jax.jit(step, out_shardings=places(state))
    for seed in (1, 2):
        state = step(state, filled(seed, scale=0.3))  # a norm of more than one
        yield state


def start(config):
    params = filled(0)
    return params, make_optimizer(config).init(params), jax.tree.map(jnp.copy, params)


@pytest.mark.parametrize("name", ["adamw", "muon"])
def test_every_optimiser_steps_as_it_does_at_once(name):
    """But for the last bits, which depend on what XLA fuses."""
    config = OptimizerConfig(name=name, learning_rate=0.1, warmup_steps=0)
    state = start(config)
    there = sent(state)
    kinds = {x.memory_kind for x in jax.tree.leaves(places(there[1]))}
    assert kinds == {HOST, "device"}
    for one, two in zip(steps(config, state), steps(config, there), strict=True):
        assert places(two) == places(there)
        jax.tree.map(
            lambda x, y: np.testing.assert_allclose(x, y, rtol=1e-5, atol=1e-6),
            one,
            two,
        )
    assert np.all(two[0]["a.bias"] != state[0]["a.bias"])


def test_moments_of_two_bytes_are_rounded_by_draws_of_each_layer():
    """Within a unit of the last place, and not alike in equal layers."""
    config = OptimizerConfig(moments="bfloat16", learning_rate=0.1, warmup_steps=0)
    state = start(config)
    for one, two in zip(steps(config, state), steps(config, sent(state)), strict=True):
        jax.tree.map(
            lambda x, y: np.testing.assert_allclose(
                np.asarray(x, np.float32),
                np.asarray(y, np.float32),
                rtol=0.05,
                atol=1e-3,
            ),
            one[1],
            two[1],
        )
    alike = {"a.kernel": jnp.full((2, 64, 64), 1e-3)}
    (rounded,) = one_update(config, alike)
    assert np.any(rounded[0] != rounded[1])


def one_update(config, grads):
    """The first moments of what is on the host, after one step of these gradients."""
    optimizer = make_optimizer(config)
    opt_state = optimizer.init(grads)

    def update(old, grads, layer):
        return optimizer.update(grads, old[0], grads, norm=jnp.ones(()), layer=layer)[
            1:
        ]

    def move(leaf):
        kind = HOST if leaf.ndim else "device"
        return jax.device_put(leaf, leaf.sharding.with_memory_kind(kind))

    old = (jax.tree.map(move, opt_state),)
    (new,) = jax.jit(
        lambda old: in_turns(update, old, grads, jax.tree.map(move, grads))
    )(old)
    yield optax.tree.get(new, "mu")["a.kernel"]
