"""A network cut over eight devices is the network on one, in values and gradients."""

from pathlib import Path

import pytest
from eight_devices import run_on_eight_devices
from models.tiny import TINY

TESTS = str(Path(__file__).parents[1])
SCRIPT = """
import dataclasses, sys
import jax, jax.numpy as jnp, numpy as np
from videogen.nn.fence import Network
from videogen.ops.attention.api import AttentionPlan
from videogen.parallel.mesh import MeshConfig, make_mesh
from videogen.parallel.rules import batch_sharding, tree_shardings

jax.config.update("jax_default_matmul_precision", "float32")
name, mesh_sizes = {name!r}, {meshes!r}
sys.path.insert(0, {tests!r})
from models.tiny import TINY, family_of

family = family_of(name)
config = dataclasses.replace(TINY[name].config, remat="attention")

def network(**mesh):
    return Network.of(family.make(config, AttentionPlan(**mesh)))

net = network()

batch = {{
    "latent": TINY[name].latent(jax.random.normal(jax.random.key(0), (8, {frames}, 4, 4, 4))),
    "t": jnp.linspace(0.1, 0.9, 8),
    "text_BLD": jax.random.normal(jax.random.key(1), (8, 8, 16)),
    "text_mask_BL": jnp.arange(8)[None] < jnp.arange(1, 9)[:, None],
    "text2_BLX": jax.random.normal(jax.random.key(3), (8, 4, 12)),
    "pooled_BX": jax.random.normal(jax.random.key(2), (8, 12)),
    "label_B": jnp.array([-1, 0, 1, 2, 3, 4, 0, 1], jnp.int32),
    "guidance_B": jnp.linspace(1.0, 8.0, 8),
    "fps_B": jnp.linspace(8.0, 30.0, 8),
    "heard_B": jnp.arange(8) % 2 == 0,
}}

def step_of(net):
    def loss(params, batch):
        batch = dict(batch)
        y = net.apply(params, batch.pop("latent"), batch.pop("t"), **batch)
        y = jnp.concatenate([x.ravel() for x in jax.tree.leaves(y)])
        return (y ** 2).mean(), y
    return jax.value_and_grad(loss, has_aux=True)

def init(key):
    keys = jax.random.split(key, 200)
    params = net.init(key)
    return {{p: x + 0.1 * jax.random.normal(k, x.shape)
            for k, (p, x) in zip(keys, sorted(params.items()))}}

key = jax.random.key(0)
params = jax.jit(init)(key)
(_, want), want_grads = jax.jit(step_of(net))(params, batch)
assert float(jnp.abs(want).mean()) > 0.1
for sizes in mesh_sizes:
    mesh = make_mesh(MeshConfig(**dict(zip(("replica", "fsdp", "context", "tensor"), sizes))))
    shardings = tree_shardings(net.abstract(), family.sharding, mesh)
    with jax.set_mesh(mesh):
        cut = jax.jit(init, out_shardings=shardings)(key)
        data = jax.tree.map(
            lambda x: jax.device_put(x, batch_sharding(mesh, x.ndim)), batch)
        step = jax.jit(step_of(network(mesh=mesh)), out_shardings=(None, shardings))
        (_, got), grads = step(cut, data)
    for path in params:
        np.testing.assert_array_equal(cut[path], params[path], err_msg=path)
        np.testing.assert_allclose(
            grads[path], want_grads[path], rtol=2e-3, atol=2e-5, err_msg=path)
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-4)
    print("ok", sizes)
"""


def check(name, meshes, frames=2):
    said = {"name": name, "meshes": meshes, "frames": frames, "tests": TESTS}
    out = run_on_eight_devices(SCRIPT.format(**said))
    assert out.count("ok") == len(meshes)


PADDED = ("cross", "sound")  # families that pad their tokens
QUICK = ("dit", "joint")


@pytest.mark.parametrize("name", QUICK)
def test_sharded_is_unsharded(name):
    check(name, [(1, 2, 2, 2)])


@pytest.mark.parametrize("name", PADDED)
def test_any_number_of_tokens_is_cut(name):
    check(name, [(1, 2, 2, 2), (1, 1, 8, 1)], frames=3)  # 12 tokens, and those of sound


@pytest.mark.slow  # 40 s each
@pytest.mark.parametrize("name", sorted(TINY.keys() - {*PADDED, *QUICK}))
def test_every_family_sharded_is_unsharded(name):
    check(name, [(1, 2, 2, 2)])


@pytest.mark.slow  # 50 s; test_trainer has cross on many
def test_sharded_is_unsharded_on_other_meshes():
    check("dit", [(2, 1, 4, 1), (1, 1, 2, 4)])
