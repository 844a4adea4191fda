"""Latte: who sees whom, and what the released names are."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from networks import random_params

from videogen.core.errors import DataError
from videogen.models.dit import weights
from videogen.models.dit.config import DiTConfig
from videogen.models.dit.flops import forward_flops
from videogen.models.dit.model import make
from videogen.models.weights import read, write
from videogen.nn.fence import Network

SIZES = {"latent_channels": 4, "width": 32, "num_heads": 4, "mlp_width": 64}
LATTE = DiTConfig(**SIZES, depth=2, factorised=True, position="sincos_2d")


@pytest.mark.parametrize("block, group", [(0, "place"), (1, "frame"), (None, "both")])
def test_even_blocks_attend_within_frames_and_odd_ones_across(block, group):
    """What a change of one token of frame 0 reaches, with the attention of `block` shut off."""
    net = Network.of(make(LATTE))
    params = random_params(net)
    if block is not None:
        gate = slice(2 * LATTE.width, 3 * LATTE.width)
        for path in [path for path in params if "blocks.norm1" in path]:
            params[path] = params[path].at[block, ..., gate].set(0)
    latent = jax.random.normal(jax.random.key(1), (1, 3, 4, 4, 4))
    apply = jax.jit(lambda x: net.apply(params, x, jnp.array([0.5])))
    moved = abs(apply(latent.at[0, 0, :2, :2].add(1.0)) - apply(latent))
    reached = np.asarray(moved.reshape(3, 2, 2, 2, 2, 4).max((2, 4, 5)) > 1e-6)
    want = np.full((3, 2, 2), group == "both")
    if group == "frame":
        want[0] = True
    if group == "place":
        want[:, 0, 0] = True
    np.testing.assert_array_equal(reached, want)


def test_attention_costs_that_of_frames_and_of_places():
    """Of 8 frames of 64 places, as the compiler counts it: F S^2 + S F^2, not (F S)^2."""
    f, s = 8, 64
    net = Network.of(make(LATTE))
    latent = jax.ShapeDtypeStruct((1, f, 16, 16, 4), jnp.float32)
    t = jax.ShapeDtypeStruct((1,), jnp.float32)
    compiled = jax.jit(net.apply).lower(net.abstract(), latent, t).compile()
    counted = compiled.cost_analysis()["flops"]
    ours = forward_flops(LATTE, latent.shape[1:])
    assert 1 < counted / ours < 1.25  # with norms and softmax, in so narrow a network
    full = forward_flops(dataclasses.replace(LATTE, factorised=False), latent.shape[1:])
    assert full - ours == 4 * LATTE.width * (2 * (f * s) ** 2 - f * s * s - s * f * f)
    assert full > 2 * counted


def shapes_of(config):
    return {path: x.shape for path, x in Network.of(make(config)).abstract().items()}


def test_native_names_and_tables_of_positions():
    shapes = shapes_of(LATTE)
    table = weights.native(LATTE)
    theirs = table.their_shapes(shapes)
    assert theirs["blocks.1.attn.qkv.weight"] == (96, 32)
    assert theirs["blocks.0.attn.qkv.bias"] == (96,)
    assert theirs["blocks.1.adaLN_modulation.1.weight"] == (192, 32)
    assert theirs["blocks.0.mlp.fc1.weight"] == (64, 32)
    assert theirs["x_embedder.proj.weight"] == (32, 4, 2, 2)
    assert theirs["final_layer.linear.weight"] == (16, 32)
    per_block = {"attn.qkv", "attn.proj", "mlp.fc1", "mlp.fc2", "adaLN_modulation.1"}
    outside = 2 + 4 + 4  # patches, time, the final layer
    assert len(theirs) == 2 * (2 * len(per_block)) + outside
    table.check(shapes, theirs | {"pos_embed": (1, 4, 32), "temp_embed": (1, 3, 32)})
    with pytest.raises(DataError, match="unknown: pos_emb$"):
        table.check(shapes, theirs | {"pos_emb": (1, 4, 32)})


def test_diffusers_copies_must_be_equal():
    config = DiTConfig(**SIZES, depth=3, num_classes=5, position="sincos_2d")
    table, net = weights.diffusers(config), Network.of(make(config))
    params = random_params(net)
    theirs = write(table, params)
    keys = [f"transformer_blocks.{i}.norm1.emb.class_embedder" for i in range(3)]
    keys = [f"{key}.embedding_table.weight" for key in keys]
    assert all(
        (theirs[key] == params["class_embedder.embedding_table"]).all() for key in keys
    )
    back = read(table, shapes_of(config), theirs)
    assert all((back[path] == params[path]).all() for path in params)
    theirs[keys[2]] = theirs[keys[2]] + 1
    with pytest.raises(DataError, match=r"blocks\.0\..*blocks\.2\..*differ"):
        read(table, shapes_of(config), theirs)
