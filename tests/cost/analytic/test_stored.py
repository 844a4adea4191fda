"""What a device keeps of the state, and what it gathers."""

import jax
import jax.numpy as jnp
import pytest
from jax.sharding import AbstractMesh, NamedSharding, PartitionSpec

from videogen.cost.analytic.stored import stored

ROW = (None, "tensor", ("fsdp", "context"))  # heads in, features out
COLUMN = (None, ("fsdp", "context"), "tensor")


def leaf(axes, dims, shape=(2, 64, 32)):
    mesh = AbstractMesh(tuple(axes.values()), tuple(axes))
    sharding = NamedSharding(mesh, PartitionSpec(*dims))
    return jax.ShapeDtypeStruct(shape, jnp.float32, sharding=sharding)


def on(**sizes):
    axes = dict(replica=1, fsdp=1, context=1, tensor=1) | sizes
    params = {
        "out": leaf(axes, ROW),
        "up": leaf(axes, COLUMN),
        "b": leaf(axes, (None,) * 3),
    }
    state = [*params.values(), params["out"]]
    return stored(state, {"out": params["out"]}, params, axes)


SIZE = 2 * 64 * 32


def test_shards_are_kept_and_whole_ones_are_used():
    assert on(fsdp=4).state == 4 * SIZE * (3 / 4 + 1)
    assert on(fsdp=4).gradients == 4 * SIZE / 4
    assert on(fsdp=4).whole == on(context=2).whole == 2 * 2 * SIZE
    assert on(tensor=2).rows == 2 * 32 and on(tensor=2).columns == 2 * 64
    assert on(fsdp=4).rows == 0


@pytest.mark.parametrize("axis", ["fsdp", "context"])
def test_more_devices_keep_less_each(axis):
    kept = [on(**{axis: n}).state for n in (1, 2, 4, 8)]
    assert kept == sorted(kept, reverse=True) and len(set(kept)) == 4


def test_replicas_keep_all():
    assert on(replica=4).state == on().state
