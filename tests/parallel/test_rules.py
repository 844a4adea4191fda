"""One table shards parameters, moments and averages; its mistakes are errors."""

import functools
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import optax
import pytest
from jax.sharding import AbstractMesh
from jax.sharding import PartitionSpec as P

from videogen.core.errors import ConfigError
from videogen.parallel.mesh import AXES
from videogen.parallel.rules import batch_sharding, stacked, tree_shardings

MESH = AbstractMesh((2, 2, 1, 2), AXES)
TABLE = (
    (r"to_q\.kernel$", ("layers", "embed", "heads")),
    (r"scale$", (None,)),
)


@functools.partial(
    jax.tree_util.register_dataclass,
    data_fields=["step", "params", "opt_state", "ema"],
    meta_fields=[],
)
@dataclass(frozen=True)
class State:
    step: Any
    params: Any
    opt_state: Any
    ema: Any


def params(width=8, layers=3):
    return {
        "blocks.to_q.kernel": jnp.zeros((layers, width, 4)),
        "norm.scale": jnp.zeros((5,)),
    }


def abstract_state():
    def init():
        tx = optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(1e-3))
        return State(jnp.int32(0), params(), tx.init(params()), params())

    return jax.eval_shape(init)


def test_the_whole_state_meets_the_same_rules():
    shardings = tree_shardings(abstract_state(), TABLE, MESH)
    assert shardings.step.spec == P()
    adam = shardings.opt_state[1][0]
    assert adam.count.spec == P()
    for tree in (shardings.params, shardings.ema, adam.mu, adam.nu):
        kept = P(None, ("fsdp", "context"), "tensor")
        assert tree["blocks.to_q.kernel"].spec == kept
        assert tree["norm.scale"].spec == P(None)


def test_leaves_of_stacked_layers_are_told_from_others():
    told = stacked(abstract_state(), TABLE)
    assert told.step is told.opt_state[1][0].count is False
    for tree in (told.params, told.ema, told.opt_state[1][0].mu):
        assert tree == {"blocks.to_q.kernel": True, "norm.scale": False}


@pytest.mark.parametrize(
    "tree, table, parts",
    [
        (params(), TABLE[:1], ["norm.scale", "(5,)", "matches no"]),
        (params(), (*TABLE, ("gone", (None,))), ["'gone'", "decides no leaf"]),
        (params(), ((".", (None,)), *TABLE), ["blocks.to_q.kernel", "(3, 8, 4)"]),
        (
            params(width=9),
            TABLE,
            [
                "blocks.to_q.kernel",
                "dim 1 (embed)",
                "size 9",
                "fsdp=2",
                "multiple of 2",
            ],
        ),
        (
            params(),
            ((r"kernel", (None, None, "haeds")), TABLE[1]),
            ["'haeds'", "did you mean 'heads'?"],
        ),
    ],
    ids=["unmatched", "unused", "rank", "indivisible", "unknown"],
)
def test_mistakes_are_one_line_errors(tree, table, parts):
    with pytest.raises(ConfigError) as error:
        tree_shardings(tree, table, MESH)
    message = str(error.value)
    assert "\n" not in message
    assert all(part in message for part in parts), message


def test_axes_of_size_one_divide_everything():
    one = AbstractMesh((1, 1, 1, 1), AXES)
    tree_shardings(params(width=7), TABLE, one)


def test_batch_is_cut_over_replica_and_fsdp():
    assert batch_sharding(MESH, 5).spec == P(
        ("replica", "fsdp"), None, None, None, None
    )
    assert batch_sharding(MESH, 0).spec == P()
