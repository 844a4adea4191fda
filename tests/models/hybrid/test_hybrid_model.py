"""Seaweed: its size, its block against the formulas in NumPy, its use of the text."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from networks import random_params

from videogen.core.errors import ConfigError
from videogen.models.hybrid.config import HybridConfig
from videogen.models.hybrid.model import Block, diagonal, make
from videogen.models.hybrid.sizes import PUBLISHED
from videogen.nn.fence import Network
from videogen.nn.position import grid_coordinates, rope, rope_split
from videogen.ops.attention.api import AttentionPlan

TINY = HybridConfig(
    latent_channels=3,
    width=32,
    depth=1,
    shared_depth=2,
    num_heads=4,
    mlp_width=24,
    text_dim=10,
)
LATENT = jax.random.normal(jax.random.key(1), (2, 2, 3, 4, 3))
TEXT = jax.random.normal(jax.random.key(2), (2, 5, 10))
MASK = jnp.array([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]], bool)
rng = np.random.default_rng(3)


def test_the_published_size_is_near_its_name():
    published = PUBLISHED["seaweed_7b"]
    config = published.config
    shapes = Network.of(make(config)).abstract()
    d, m, e = config.width, config.mlp_width, config.head_dim
    blocks = sum(leaf.size for path, leaf in shapes.items() if "blocks." in path)
    assert config.depth + config.shared_depth == 32
    assert blocks == 32 * (8 * d * d + 12 * d + 4 * e) + (11 * 2 + 21) * 3 * d * m
    assert published.status == "approximate" and published.assumed
    assert abs(sum(leaf.size for leaf in shapes.values()) / 7.77e9 - 1) < 0.02


def turned(x, coords, split):
    """x (N, K, E), pairs of neighbours by the angle of their axis."""
    angles = np.concatenate(
        [
            coords[:, axis, None] * 1e4 ** (-np.arange(0, dim, 2) / dim)
            for axis, dim in enumerate(split)
        ],
        axis=1,
    )[:, None]
    a, b = x[..., 0::2], x[..., 1::2]
    cos, sin = np.cos(angles), np.sin(angles)
    return np.stack([a * cos - b * sin, a * sin + b * cos], -1).reshape(x.shape)


def by_formula(params, streams, mod, mask, coords):
    """One sample through one block: (video_ND, text_LD), mod (6, D)."""
    split = rope_split(8)
    states, queries, keys, values = [], [], [], []
    sides = (("video", "", streams[0]), ("text", "_context", streams[1]))

    def norm(x, shift, scale):
        x = x - x.mean(-1, keepdims=True)
        return x / np.sqrt((x * x).mean(-1, keepdims=True) + 1e-6) * (1 + scale) + shift

    for (name, suffix, x), places in zip(sides, coords, strict=True):
        vectors = params[f"scale_shift_table{suffix}"] + mod
        states.append((name, suffix, x, vectors))
        y = norm(x, *vectors[:2])

        def heads(which, y=y, name=name):
            return (y @ params[f"attn.{name}.to_{which}.kernel"]).reshape(len(y), 4, 8)

        for which, found in (("q", queries), ("k", keys)):
            z = heads(which)
            z = z / np.sqrt((z * z).mean(-1, keepdims=True) + 1e-6)
            z = z * params[f"attn.{name}.norm_{which}.scale"]
            found.append(turned(z, places, split))
        values.append(heads("v"))
    q, k, v = (np.concatenate(x) for x in (queries, keys, values))
    kind = np.concatenate([np.ones(len(streams[0])), mask])  # padding attends padding
    scores = np.einsum("nke,ske->kns", q, k) / np.sqrt(8)
    scores = np.where(kind[:, None] == kind, scores, -np.inf)
    p = np.exp(scores - scores.max(-1, keepdims=True))
    o = np.einsum("kns,ske->nke", p / p.sum(-1, keepdims=True), v).reshape(len(q), -1)
    outputs, start = [], 0
    for name, suffix, x, vectors in states:
        attended = o[start : start + len(x)] @ params[f"attn.{name}.to_out.kernel"]
        start += len(x)
        x = x + vectors[2] * attended
        y = norm(x, *vectors[3:5])
        ff = f"ff{suffix}" if f"ff{suffix}.up.kernel" in params else "ff"
        gate, up = y @ params[f"{ff}.gate.kernel"], y @ params[f"{ff}.up.kernel"]
        x = x + vectors[5] * (
            (gate / (1 + np.exp(-gate)) * up) @ params[f"{ff}.down.kernel"]
        )
        outputs.append(x)
    return outputs


class OneBlock(nnx.Module):
    """A block seen as a function of arrays."""

    def __init__(self, shares_mlp, rngs):
        self.block = Block(TINY, AttentionPlan(), shares_mlp, rngs)

    def __call__(self, *args):
        return self.block(*args)


@pytest.mark.parametrize("shares_mlp", [False, True])
def test_a_block_is_its_formula(shares_mlp):
    net = Network.of(lambda rngs: OneBlock(shares_mlp, rngs))
    params = random_params(net)
    assert ("block.ff_context.up.kernel" in params) != shares_mlp
    coords = grid_coordinates((2, 3, 2)), diagonal(5)
    np.testing.assert_array_equal(coords[1][:, :3], np.arange(5)[:, None].repeat(3, 1))
    x, text = rng.standard_normal((2, 12, 32)), rng.standard_normal((2, 5, 32))
    mod = 0.5 * rng.standard_normal((2, 6, 32))
    rotations = [rope(places, rope_split(8)) for places in coords]
    arrays = [jnp.asarray(a, jnp.float32) for a in (x, text, mod)]
    got = jax.jit(net.apply)(params, tuple(arrays[:2]), arrays[2], MASK, *rotations)
    plain = {k.removeprefix("block."): np.asarray(v, float) for k, v in params.items()}
    for row in range(2):
        want = by_formula(
            plain, (x[row], text[row]), mod[row], np.asarray(MASK[row]), coords
        )
        for ours, theirs in zip(got, want, strict=True):
            np.testing.assert_allclose(ours[row], theirs, atol=1e-4 * abs(theirs).max())


def run(text, mask, params=None):
    net = Network.of(make(TINY))
    params = random_params(net) if params is None else params
    t = jnp.array([0.3, 0.6])
    return jax.jit(net.apply)(params, LATENT, t, text_BLD=text, text_mask_BL=mask)


def test_padding_of_the_text_is_hidden():
    junk = jnp.where(MASK[..., None], TEXT, 50.0)
    np.testing.assert_array_equal(run(TEXT, MASK), run(junk, MASK))
    assert not np.allclose(run(TEXT, MASK)[0], run(TEXT, None)[0], atol=1e-4)


def test_the_order_of_the_text_matters():
    assert not np.allclose(run(TEXT, None), run(TEXT[:, ::-1], None), atol=1e-3)


def test_no_text_is_an_error():
    with pytest.raises(ConfigError, match="needs text_BLD"):
        run(None, None)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"shared_depth": 0}, "model.shared_depth=0"),
        ({"mlp": "swigl"}, "model.mlp='swigl' .*'swiglu'"),
        ({"rope_split": (4, 2, 4)}, "must sum to the head dim 8"),
    ],
)
def test_sizes_that_cannot_work_are_named(change, message):
    with pytest.raises(ConfigError, match=message):
        dataclasses.replace(TINY, **change)
