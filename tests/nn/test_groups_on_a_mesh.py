"""Groups of tokens on a mesh: what is exchanged, and when."""

import pytest
from eight_devices import run_on_eight_devices

SCRIPT = """
import re
import jax, jax.numpy as jnp, numpy as np
from flax import nnx
from jax.sharding import NamedSharding, PartitionSpec as P
from videogen.nn.attention import SelfAttention
from videogen.nn.fence import Network
from videogen.nn.groups import make_groups
from videogen.nn.position import grid_coordinates
from videogen.ops.attention.api import AttentionPlan
from videogen.parallel.mesh import AXES

class Grouped(nnx.Module):
    def __init__(self, kind, plan, rngs):
        self.groups = make_groups(kind, grid_coordinates({grid}), 2)
        self.attention = SelfAttention(32, 4, plan=plan, rngs=rngs)

    def __call__(self, x):
        return self.groups.attend(self.attention, x, None)

def network(kind, mesh=None):
    return Network.of(lambda rngs: Grouped(kind, AttentionPlan(mesh=mesh), rngs))

mesh = jax.sharding.Mesh(np.array(jax.devices()).reshape(1, 2, 4, 1), AXES)
cut, whole = (NamedSharding(mesh, P(*dims)) for dims in (("fsdp", "context"), ()))
x = jax.random.normal(jax.random.key(0), (2, {tokens}, 32))
for kind in {kinds}:
    net = network(kind)
    params = net.init(jax.random.key(1))
    with jax.set_mesh(mesh):
        call = jax.jit(network(kind, mesh).apply, out_shardings=cut)
        args = jax.device_put(params, whole), jax.device_put(x, cut)
        text = call.lower(*args).compile().as_text()
        got = call(*args)
    np.testing.assert_allclose(got, net.apply(params, x), atol=1e-5)
    ops = "(all-to-all|all-gather|collective-permute|all-reduce)"
    print(kind, *re.findall(ops + r"[(]", text), sep=",")
"""


def exchanges(grid, tokens, kinds):
    """What each kind of group sends, by name, after its output was seen to be right."""
    out = run_on_eight_devices(SCRIPT.format(grid=grid, tokens=tokens, kinds=kinds))
    return [line.split(",") for line in out.split()]


def test_groups_that_divide_over_context():
    """Frames: nothing; across frames: there and back."""
    got = exchanges((8, 4, 4), 128, ("spatial", "temporal"))
    assert got == [["spatial"], ["temporal", "all-to-all", "all-to-all"]]


@pytest.mark.slow  # 30 s on two busy cores
def test_groups_that_do_not_leave_tokens_cut():
    """Two frames, or two classes of tokens, over four devices."""
    spatial, skip = exchanges((2, 8, 8), 128, ("spatial", "skip"))
    assert len(spatial) > 1 and len(skip) > 1
