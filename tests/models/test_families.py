"""What every family of models keeps to."""

import dataclasses
import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from golden import check_golden
from jax.sharding import AbstractMesh
from models.tiny import TINY, family_of
from networks import random_params

from videogen.core.errors import ConfigError
from videogen.diffusion.parts import video_of
from videogen.models import FAMILIES
from videogen.nn.fence import Network
from videogen.nn.patch import patchify, token_grid
from videogen.nn.position import grid_coordinates
from videogen.nn.stack import REMAT
from videogen.parallel.mesh import AXES
from videogen.parallel.rules import tree_shardings

SHAPE = (2, 3, 4, 6, 4)
each_family = pytest.mark.parametrize("name", TINY)


def network(name, **changes):
    config = dataclasses.replace(TINY[name].config, **changes)
    return Network.of(family_of(name).make(config))


def inputs(name):
    keys = jax.random.split(jax.random.key(3), 2)
    conditions = {
        "text_BLD": jax.random.normal(keys[0], (2, 6, 16)),
        "text_mask_BL": jnp.array([[1] * 6, [1] * 2 + [0] * 4], bool),
        "text2_BLX": jax.random.normal(jax.random.key(6), (2, 4, 12)),
        "label_B": jnp.array([1, -1], jnp.int32),
        "pooled_BX": jax.random.normal(jax.random.key(4), (2, 12)),
        "guidance_B": jnp.array([1.0, 0.4]),
        "fps_B": jnp.array([24.0, 8.0]),
        "heard_B": jnp.array([True, False]),
    }
    latent = TINY[name].latent(jax.random.normal(keys[1], SHAPE))
    return (latent, jnp.array([0.2, 0.9])), conditions


def flat(out):
    """All numbers of a prediction, of one part or several."""
    return jnp.concatenate([x.ravel() for x in jax.tree.leaves(out)])


@functools.cache  # most of the time is compiling
def forward(name, dtype="float32"):
    return jax.jit(network(name, dtype=dtype).apply)


@functools.cache
def gradients(name, remat="none"):
    """Of the mean square of what is predicted with gates open."""
    net = network(name, remat=remat)
    args, conditions = inputs(name)

    def loss(params):
        return (flat(net.apply(params, *args, **conditions)) ** 2).mean()

    return jax.jit(jax.grad(loss))(random_params(net))


def test_a_config_here_for_every_family():
    assert {name.partition("_")[0] for name in TINY} == FAMILIES.keys()


@each_family
def test_a_new_network_predicts_zero_in_float32(name):
    net = network(name, dtype="bfloat16")
    args, conditions = inputs(name)
    params = net.init(jax.random.key(0))
    velocity = forward(name, "bfloat16")(params, *args, **conditions)
    shapes = [jax.tree.map(jnp.shape, x) for x in (velocity, args[0])]
    assert shapes[0] == shapes[1]
    assert flat(velocity).dtype == jnp.float32
    assert not flat(velocity).any()


@each_family
def test_every_parameter_matters(name):
    """With gates open, each parameter has a gradient."""
    largest = {path: float(abs(x).max()) for path, x in gradients(name).items()}
    idle = {
        path for path, size in largest.items() if size < 1e-5 * max(largest.values())
    }
    assert idle == TINY[name].idle


@each_family
def test_remat_around_attention_changes_no_gradient(name):
    check_remat(name, ["attention"])


@pytest.mark.slow  # 30 s each; the layers are those of all
@pytest.mark.parametrize("name", ["cross", "dit", "joint"])
def test_remat_changes_no_gradient(name):
    check_remat(name, sorted(REMAT.keys() - {"none", "attention"}))


def check_remat(name, policies):
    want = gradients(name)
    for remat in policies:
        got = gradients(name, remat)
        for path in want:
            np.testing.assert_allclose(got[path], want[path], rtol=1e-3, atol=1e-5)


@each_family
def test_bfloat16_is_near_float32(name):
    args, conditions = inputs(name)
    params = random_params(network(name))
    exact, rough = (
        flat(forward(name, dtype)(params, *args, **conditions))
        for dtype in ("float32", "bfloat16")
    )
    assert rough.dtype == jnp.float32
    error = jnp.linalg.norm(rough - exact) / jnp.linalg.norm(exact)
    assert 0 < error < 0.05


class Tokens(nnx.Module):
    """A network seen as a function of tokens and coordinates."""

    def __init__(self, model):
        self.model = model

    def __call__(self, *args, **conditions):
        return self.model.tokens(*args, **conditions)


@each_family
def test_permuted_tokens_with_their_coordinates_give_permuted_velocities(name):
    make = family_of(name).make(TINY[name].config)
    net = Network.of(lambda rngs: Tokens(make(rngs)))
    params = random_params(net)
    (latent, t), conditions = inputs(name)
    latent = video_of(latent)
    rest = [conditions[key] for key in TINY[name].tokens]
    more = {key: conditions[key] for key in TINY[name].more}
    tokens = patchify(latent, (1, 2, 2))
    coords = grid_coordinates(token_grid(SHAPE[1:4], (1, 2, 2)))
    order = jax.random.permutation(jax.random.key(1), len(coords))
    apply = jax.jit(net.apply)
    straight = apply(params, tokens, coords, t, *rest, **more)
    permuted = apply(params, tokens[:, order], coords[order], t, *rest, **more)
    np.testing.assert_allclose(permuted, straight[:, order], atol=1e-4)
    in_order = jax.jit(lambda *args: net.apply(*args[:2], coords, *args[2:], **more))
    np.testing.assert_allclose(in_order(params, tokens, t, *rest), straight, atol=1e-4)
    moved = apply(params, tokens[:, order], coords, t, *rest, **more)
    assert not np.allclose(moved, straight[:, order], atol=1e-2)


@each_family
def test_patches_must_divide(name):
    net = network(name)
    (latent, t), conditions = inputs(name)
    latent = video_of(latent)
    with pytest.raises(ConfigError, match="height=3 does not divide"):
        net.apply(net.abstract(), latent[:, :, :3], t, **conditions)


@each_family
@pytest.mark.parametrize(
    "change, message",
    [
        ({"width": 36}, "model.width=36 .*num_heads=4 .* 32 or 40 would work"),
        ({"num_heads": 32}, "of an even size; a width of 64 would work"),
        ({"depth": 0}, "model.depth=0"),
        ({"patch": (1, 0, 2)}, r"model.patch\[1\]=0"),
        ({"remat": "ful"}, "model.remat='ful' .*'full'"),
        ({"dtype": "float16"}, "model.dtype='float16' .*'bfloat16'"),
        ({"attention": "xl"}, "model.attention: .*'xla'"),
        ({"freq_dim": 7}, "model.freq_dim=7"),
    ],
)
def test_sizes_that_cannot_work_are_named(name, change, message):
    with pytest.raises(ConfigError, match=message) as error:
        dataclasses.replace(TINY[name].config, **change)
    assert "\n" not in str(error.value)


@each_family
def test_parameters_are_as_checked_in(name):
    lines = [
        f"{path} {'x'.join(map(str, leaf.shape))} {leaf.dtype}"
        for path, leaf in sorted(network(name).abstract().items())
    ]
    check_golden(f"params_{name}_tiny.txt", lines)


@each_family
def test_shardings_are_as_checked_in(name):
    mesh = AbstractMesh((2, 2, 1, 2), AXES)
    shapes = network(name).abstract()
    shardings = tree_shardings(shapes, family_of(name).sharding, mesh)
    lines = ["mesh replica=2 fsdp=2 context=1 tensor=2: path shape spec bytes/device"]
    for path, leaf in sorted(shapes.items()):
        shard = shardings[path].shard_shape(leaf.shape)
        size = np.prod(shard) * leaf.dtype.itemsize
        shape = "x".join(map(str, leaf.shape))
        lines.append(f"{path} {shape} {tuple(shardings[path].spec)} {size}")
    check_golden(f"sharding_{name}_tiny.txt", lines)


@each_family
def test_flops_grow_as_the_mathematics_says(name):
    """Exactly linear in depth; quadratic, not less, in tokens."""
    flops, config = family_of(name).flops, TINY[name].config
    at = [
        flops(
            dataclasses.replace(config, depth=turns * TINY[name].period), SHAPE[1:], 6
        )
        for turns in (1, 2, 3)
    ]
    assert at[2] - at[1] == at[1] - at[0] > 0
    by_tokens = [flops(config, (f, 4, 6, 4), 6) for f in (1, 2, 3, 4)]
    second = np.diff(by_tokens, n=2)
    assert second[0] == second[1] > 0


def test_configs_share_what_they_share():
    """One name for one thing across families."""
    fields = [
        {field.name: field.type for field in dataclasses.fields(config)}
        for config in (tiny.config for tiny in TINY.values())
    ]
    for one, other in itertools.combinations(fields, 2):
        common = one.keys() & other.keys()
        assert {n: one[n] for n in common} == {n: other[n] for n in common}
        assert len(common) >= 10
