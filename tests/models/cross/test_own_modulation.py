"""Goku: each block makes its modulation by a linear layer of its own (adaLN-zero)."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AbstractMesh
from networks import random_params

from videogen.models.cross.config import CrossConfig
from videogen.models.cross.flops import forward_flops
from videogen.models.cross.model import make
from videogen.models.cross.sharding import SHARDING
from videogen.models.cross.sizes import PUBLISHED
from videogen.nn.fence import Network
from videogen.parallel.mesh import AXES
from videogen.parallel.rules import tree_shardings

SHARED = CrossConfig(
    latent_channels=4,
    width=32,
    depth=2,
    num_heads=4,
    mlp_width=64,
    cross_norm=None,
    qk_norm="rms_head",
    text_dim=16,
)
OWN = dataclasses.replace(SHARED, modulation="own")
LATENT = jax.random.normal(jax.random.key(1), (2, 2, 4, 4, 4))
TEXT = jax.random.normal(jax.random.key(2), (2, 5, 16))
T = jnp.array([0.3, 0.6])


def run(config, params, t=T):
    net = Network.of(make(config))
    return jax.jit(net.apply)(params, LATENT, t, text_BLD=TEXT)


def test_it_is_the_shared_one_if_every_block_has_the_same_layer():
    shared = random_params(Network.of(make(SHARED)))
    table, proj = "blocks.scale_shift_table", "condition_embedder.time_proj"
    own = {k: v for k, v in shared.items() if k != table and not k.startswith(proj)}
    kernel, bias = shared[f"{proj}.kernel"], shared[f"{proj}.bias"]
    own["blocks.modulation.linear.kernel"] = jnp.stack([kernel] * 2)
    own["blocks.modulation.linear.bias"] = bias + shared[table].reshape(2, -1)
    want = run(SHARED, shared)
    np.testing.assert_allclose(run(OWN, own), want, atol=1e-5 * abs(want).max())
    t_BN = jnp.broadcast_to(T[:, None], (2, 8))
    np.testing.assert_allclose(run(OWN, own, t_BN), want, atol=1e-5 * abs(want).max())


def test_a_new_block_does_nothing():
    net = Network.of(make(OWN))
    params = net.init(jax.random.key(0))
    proj = jax.random.normal(jax.random.key(3), params["proj_out.kernel"].shape)
    attention = "blocks.attn1.to_out.kernel"
    some = run(OWN, params | {"proj_out.kernel": proj})
    louder = params | {"proj_out.kernel": proj, attention: 9 * params[attention]}
    np.testing.assert_array_equal(run(OWN, louder), some)


def test_published_sizes_are_near_their_names():
    for name, size in (("goku_2b", 2.0e9), ("goku_8b", 8.3e9)):
        published = PUBLISHED[name]
        assert published.status == "approximate" and published.assumed
        d, depth = published.config.width, published.config.depth
        shapes = Network.of(make(published.config)).abstract()
        blocks = sum(leaf.size for path, leaf in shapes.items() if "blocks." in path)
        head = published.config.head_dim
        assert blocks == depth * (22 * d * d + 19 * d + 4 * head)
        assert abs(sum(leaf.size for leaf in shapes.values()) / size - 1) < 0.05


def test_every_rule_of_the_sharding_table_is_used():
    mesh = AbstractMesh((2, 2, 1, 2), AXES)
    shapes = Network.of(make(PUBLISHED["goku_2b"].config)).abstract()
    shardings = tree_shardings(shapes, SHARDING, mesh)
    kernel = shardings["blocks.modulation.linear.kernel"]
    assert tuple(kernel.spec) == (None, None, ("fsdp", "context"))


def test_flops_count_the_layer_of_every_block():
    config = PUBLISHED["goku_2b"].config
    shape, d = (4, 8, 8, 16), config.width
    shared = dataclasses.replace(config, modulation="shared")
    more = forward_flops(config, shape, 5) - forward_flops(shared, shape, 5)
    assert more == (config.depth - 1) * 2 * 6 * d * d
