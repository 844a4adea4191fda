"""MAGI-1 against a transcription of its authors' formulas, on their names and layouts."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from models.magi import released
from networks import random_params

from videogen.diffusion.loss import Target
from videogen.diffusion.published import PUBLISHED as OBJECTIVES
from videogen.diffusion.time import TimeSampler
from videogen.models.magi.config import MagiConfig
from videogen.models.magi.model import make
from videogen.models.magi.sizes import PUBLISHED
from videogen.models.magi.weights import magi_native
from videogen.models.weights import read, write
from videogen.nn.fence import Network
from videogen.train.step import Objective

PLAIN = MagiConfig(
    latent_channels=3,
    width=64,
    depth=2,
    num_heads=4,
    num_kv_heads=2,
    mlp_width=40,
    text_dim=12,
    condition_dim=20,
    null_tokens=9,
    null_attended=4,
    chunk=2,
    freq_dim=32,
)
GATED = dataclasses.replace(PLAIN, mlp="swiglu", latent_copies=2, latent_scale=0.1)
PATCHES_IN_TIME = dataclasses.replace(PLAIN, patch=(2, 1, 3), num_kv_heads=1)
rng = np.random.default_rng(2)


def draw(*shape):
    return rng.standard_normal(shape, np.float32)


def per_token(t, config, sizes):
    """A time per chunk as a time per token."""
    frames, rows, columns = (n // p for n, p in zip(sizes, config.patch, strict=True))
    chunk = np.arange(frames) * config.patch[0] // config.chunk
    return np.repeat(t[:, chunk], rows * columns, axis=1)


@pytest.mark.parametrize(
    "config, sizes",
    [(PLAIN, (5, 6, 10)), (GATED, (3, 2, 6)), (PATCHES_IN_TIME, (6, 5, 3))],
)
def test_released_weights_give_the_released_numbers(config, sizes):
    net = Network.of(make(config))
    params = random_params(net)
    latent, text = draw(3, *sizes, 3), draw(3, 7, 12)
    mask = np.arange(7) < np.array([[7], [3], [0]])  # the last caption is dropped
    num_chunks = -(-sizes[0] // config.chunk)
    t = rng.uniform(size=(3, num_chunks)).astype(np.float32)
    velocity = jax.jit(net.apply)(
        params,
        latent,
        jnp.asarray(per_token(1 - t, config, sizes)),
        text_BLD=text,
        text_mask_BL=jnp.asarray(mask),
    )
    theirs = released.forward(
        write(magi_native(config), params),
        config,
        np.moveaxis(latent, -1, 1),
        t,
        text,
        np.where(mask.any(1)[:, None], mask, np.arange(7) < config.null_attended),
        ~mask.any(1),
    )
    want = -np.moveaxis(theirs, 1, -1)
    np.testing.assert_allclose(velocity, want, atol=1e-4 * abs(want).max())


def test_chunks_of_their_own_times_are_learnt_as_the_released_code_predicts():
    """The training step's loss, and its slope along a direction by differences of theirs."""
    config, net = PLAIN, Network.of(make(PLAIN))
    params, direction = random_params(net), random_params(net)
    latent, noise = draw(3, 5, 6, 10, 3), draw(3, 5, 6, 10, 3)
    text, mask = draw(3, 7, 12), np.arange(7) < np.array([[7], [3], [1]])
    batch = {"latent_BFHWC": latent, "text_BLD": text, "text_mask_BL": mask}
    batch = jax.tree.map(jnp.asarray, batch)
    objective = Objective(
        network=net,
        time=TimeSampler(chunk_frames=config.chunk),
        normalise=lambda x: x,
        seed=0,
        target=Target(OBJECTIVES["magi"].objective),
        patch=config.patch,
    )
    drawn = objective.draw(batch, jnp.int32(1)) | {"noise": jnp.asarray(noise)}
    loss_of = jax.jit(jax.value_and_grad(lambda p: objective.loss(p, batch, drawn)))

    t_BF = 1 - np.asarray(drawn["u"], np.float64)  # theirs is 1 at the data
    t_BK = t_BF[:, :: config.chunk]
    assert len(np.unique(t_BK)) == t_BK.size
    np.testing.assert_array_equal(np.repeat(t_BK, config.chunk, axis=1)[:, :5], t_BF)

    def theirs(step):
        moved = {k: np.float64(params[k]) + step * direction[k] for k in params}
        state = write(magi_native(config), moved)
        t = t_BF[..., None, None, None]
        seen = np.moveaxis(t * latent + (1 - t) * noise, -1, 1)
        told = (seen, t_BK, text, mask, np.zeros(3, bool))
        out = np.moveaxis(released.forward(state, config, *told), 1, -1)
        return ((out - (latent - noise)) ** 2).mean()

    loss, grads = loss_of(params)
    np.testing.assert_allclose(loss, theirs(0.0), rtol=1e-5)
    want = (theirs(1e-5) - theirs(-1e-5)) / 2e-5
    slope = sum(jnp.vdot(grads[k], direction[k]) for k in grads)
    np.testing.assert_allclose(slope, want, rtol=1e-3)


@pytest.mark.parametrize("config", [PLAIN, GATED])
def test_weights_there_and_back_are_bit_equal(config):
    net = Network.of(make(config))
    shapes = {path: leaf.shape for path, leaf in net.abstract().items()}
    table = magi_native(config)
    theirs = {key: draw(*shape) for key, shape in table.their_shapes(shapes).items()}
    back = write(table, read(table, shapes, theirs))
    assert back.keys() == theirs.keys()
    for key, value in theirs.items():
        np.testing.assert_array_equal(back[key], value, err_msg=key)


@pytest.mark.parametrize("name, gated", [("magi_1_4_5b", False), ("magi_1_24b", True)])
def test_tensors_have_the_shapes_that_the_authors_code_gives_them(name, gated):
    config = PUBLISHED[name].config
    shapes = {p: x.shape for p, x in Network.of(make(config)).abstract().items()}
    theirs = magi_native(config).their_shapes(shapes)
    d, m, c = config.width, config.mlp_width, config.condition_dim
    block = {
        "ada_modulate_layer.proj.0": [(2 * d, c), (2 * d,)],
        "self_attention.linear_qkv.layer_norm": [(d,), (d,)],
        "self_attention.linear_qkv.q": [(d, d)],
        "self_attention.linear_qkv.qx": [(d, d)],
        "self_attention.linear_qkv.k": [(1024, d)],
        "self_attention.linear_qkv.v": [(1024, d)],
        "self_attention.linear_kv_xattn": [(2048, d)],
        "self_attention.linear_proj": [(d, 2 * d)],
        "self_attention.q_layernorm": [(128,), (128,)],
        "self_attention.k_layernorm": [(128,), (128,)],
        "self_attention.q_layernorm_xattn": [(128,), (128,)],
        "self_attention.k_layernorm_xattn": [(128,), (128,)],
        "self_attn_post_norm": [(d,), (d,)],
        "mlp.layer_norm": [(d,), (d,)],
        "mlp.linear_fc1": [((2 if gated else 1) * m, d)],
        "mlp.linear_fc2": [(d, m)],
        "mlp_post_norm": [(d,), (d,)],
    }
    outside = {
        "x_embedder": [(d, 32 if gated else 16, 1, 2, 2)],
        "t_embedder.mlp.0": [(c, 256), (c,)],
        "t_embedder.mlp.2": [(c, c), (c,)],
        "y_embedder.y_proj_xattn.0": [(d, 4096), (d,)],
        "y_embedder.y_proj_adaln.0": [(c, 4096), (c,)],
        "videodit_blocks.final_layernorm": [(d,), (d,)],
        "final_linear.linear": [(4 * (32 if gated else 16), d)],
    }
    want = {"rope.bands": (16,), "y_embedder.null_caption_embedding": (800, 4096)}
    for layer in range(config.depth):
        prefix = f"videodit_blocks.layers.{layer}."
        outside |= {prefix + module: sizes for module, sizes in block.items()}
    for module, sizes in outside.items():
        ends = (".weight", ".bias")
        want |= {module + end: size for end, size in zip(ends, sizes, strict=False)}
    assert theirs == want
