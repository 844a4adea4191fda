"""The authors' own names, against diffusers': which tensor is which, as converters say.

scripts/convert_hunyuan_video_to_diffusers.py, ..._hunyuan_video1_5_... of diffusers, and
opensora/models/mmdit of Open-Sora.
"""

import re

import jax.numpy as jnp
import numpy as np
import pytest
from networks import random_params

from videogen.models.joint import weights
from videogen.models.joint.config import JointConfig
from videogen.models.joint.model import make
from videogen.models.weights import halves, read, write
from videogen.nn.fence import Network
from videogen.nn.position import rope, rotate

SIZES = {"latent_channels": 3, "width": 24, "depth": 2, "num_heads": 2, "mlp_width": 96}
HUNYUAN = JointConfig(
    **SIZES, single_depth=2, text_dim=16, pooled_dim=12, guidance=True
)
NEWER = JointConfig(
    **SIZES, patch=(1, 1, 1), text_dim=16, more_text_dims=(14,), image_dim=18
)
OPEN_SORA = JointConfig(
    **SIZES, single_depth=2, text_dim=16, text_projection="linear", pooled_dim=12
)

# Theirs, of the second layer -> diffusers', their outputs one after the other.
DUAL, SINGLE = "transformer_blocks.1", "single_transformer_blocks.1"
VIDEO = {x: f"{DUAL}.attn.to_{x}" for x in "qkv"}
TEXT = {x: f"{DUAL}.attn.add_{x}_proj" for x in "qkv"}
VECTOR = {
    "vector_in.in_layer": ["time_text_embed.text_embedder.linear_1"],
    "vector_in.out_layer": ["time_text_embed.text_embedder.linear_2"],
    "final_layer.linear": ["proj_out"],
}
MLPS = {
    "double_blocks.1.img_mlp.fc1": [f"{DUAL}.ff.net.0.proj"],
    "double_blocks.1.img_mlp.fc2": [f"{DUAL}.ff.net.2"],
    "double_blocks.1.txt_mlp.fc1": [f"{DUAL}.ff_context.net.0.proj"],
    "double_blocks.1.txt_mlp.fc2": [f"{DUAL}.ff_context.net.2"],
}
BLOCKS = {
    "double_blocks.1.img_mod.linear": [f"{DUAL}.norm1.linear"],
    "double_blocks.1.txt_mod.linear": [f"{DUAL}.norm1_context.linear"],
    "double_blocks.1.img_attn_proj": [f"{DUAL}.attn.to_out.0"],
    "double_blocks.1.txt_attn_proj": [f"{DUAL}.attn.to_add_out"],
    "double_blocks.1.img_attn_q_norm": [f"{DUAL}.attn.norm_q"],
    "double_blocks.1.img_attn_k_norm": [f"{DUAL}.attn.norm_k"],
    "double_blocks.1.txt_attn_q_norm": [f"{DUAL}.attn.norm_added_q"],
    "double_blocks.1.txt_attn_k_norm": [f"{DUAL}.attn.norm_added_k"],
} | MLPS
REFINER = "context_embedder.token_refiner.refiner_blocks.1"
BLOCK_IN = "txt_in.individual_token_refiner.blocks.1"
TEXT_IN = {
    "img_in.proj": ["x_embedder.proj"],
    "txt_in.input_embedder": ["context_embedder.proj_in"],
    **{
        f"txt_in.t_embedder.mlp.{2 * i - 2}": [
            f"context_embedder.time_text_embed.timestep_embedder.linear_{i}"
        ]
        for i in (1, 2)
    },
    **{
        f"txt_in.c_embedder.linear_{i}": [
            f"context_embedder.time_text_embed.text_embedder.linear_{i}"
        ]
        for i in (1, 2)
    },
    f"{BLOCK_IN}.norm1": [f"{REFINER}.norm1"],
    f"{BLOCK_IN}.norm2": [f"{REFINER}.norm2"],
    f"{BLOCK_IN}.self_attn_qkv": [f"{REFINER}.attn.to_{x}" for x in "qkv"],
    f"{BLOCK_IN}.self_attn_proj": [f"{REFINER}.attn.to_out.0"],
    f"{BLOCK_IN}.mlp.fc1": [f"{REFINER}.ff.net.0.proj"],
    f"{BLOCK_IN}.mlp.fc2": [f"{REFINER}.ff.net.2"],
    f"{BLOCK_IN}.adaLN_modulation.1": [f"{REFINER}.norm_out.linear"],
}
TABLES = {
    "hunyuan": (
        *(HUNYUAN, weights.hunyuan_native, weights.hunyuan),
        VECTOR
        | BLOCKS
        | TEXT_IN
        | {
            "time_in.mlp.0": ["time_text_embed.timestep_embedder.linear_1"],
            "time_in.mlp.2": ["time_text_embed.timestep_embedder.linear_2"],
            "guidance_in.mlp.0": ["time_text_embed.guidance_embedder.linear_1"],
            "guidance_in.mlp.2": ["time_text_embed.guidance_embedder.linear_2"],
            "double_blocks.1.img_attn_qkv": list(VIDEO.values()),
            "double_blocks.1.txt_attn_qkv": list(TEXT.values()),
            "single_blocks.1.linear1": [
                *(f"{SINGLE}.attn.to_{x}" for x in "qkv"),
                f"{SINGLE}.proj_mlp",
            ],
            "single_blocks.1.linear2": [f"{SINGLE}.proj_out"],
            "single_blocks.1.q_norm": [f"{SINGLE}.attn.norm_q"],
            "single_blocks.1.k_norm": [f"{SINGLE}.attn.norm_k"],
            "single_blocks.1.modulation.linear": [f"{SINGLE}.norm.linear"],
        },
    ),
    "hunyuan_1_5": (
        *(NEWER, weights.hunyuan_1_5_native, weights.hunyuan_1_5),
        BLOCKS
        | TEXT_IN
        | {f"double_blocks.1.img_attn_{x}": [VIDEO[x]] for x in "qkv"}
        | {f"double_blocks.1.txt_attn_{x}": [TEXT[x]] for x in "qkv"}
        | {f"byt5_in.fc{i}": [f"context_embedder_2.linear_{i}"] for i in (1, 2, 3)}
        | {
            "time_in.mlp.0": ["time_embed.timestep_embedder.linear_1"],
            "time_in.mlp.2": ["time_embed.timestep_embedder.linear_2"],
            "byt5_in.layernorm": ["context_embedder_2.norm"],
            "vision_in.proj.0": ["image_embedder.norm_in"],
            "vision_in.proj.1": ["image_embedder.linear_1"],
            "vision_in.proj.3": ["image_embedder.linear_2"],
            "vision_in.proj.4": ["image_embedder.norm_out"],
            "cond_type_embedding": ["cond_type_embed"],
            "final_layer.linear": ["proj_out"],
        },
    ),
    "open_sora": (
        *(OPEN_SORA, weights.open_sora_native, weights.flux),
        VECTOR
        | {
            re.sub(r"fc(\d)", lambda m: str(2 * int(m[1]) - 2), name): keys
            for name, keys in MLPS.items()
        }
        | {
            "img_in": ["x_embedder"],
            "txt_in": ["context_embedder"],
            "time_in.in_layer": ["time_text_embed.timestep_embedder.linear_1"],
            "time_in.out_layer": ["time_text_embed.timestep_embedder.linear_2"],
            "double_blocks.1.img_mod.lin": [f"{DUAL}.norm1.linear"],
            "double_blocks.1.txt_mod.lin": [f"{DUAL}.norm1_context.linear"],
            "double_blocks.1.img_attn.v_proj": [VIDEO["v"]],
            "double_blocks.1.txt_attn.v_proj": [TEXT["v"]],
            "double_blocks.1.img_attn.proj": [f"{DUAL}.attn.to_out.0"],
            "double_blocks.1.txt_attn.proj": [f"{DUAL}.attn.to_add_out"],
            "single_blocks.1.v_mlp": [f"{SINGLE}.attn.to_v", f"{SINGLE}.proj_mlp"],
            "single_blocks.1.linear2": [f"{SINGLE}.proj_out"],
            "single_blocks.1.modulation.lin": [f"{SINGLE}.norm.linear"],
        },
    ),
}
# Where heads lie in halves: theirs -> diffusers'.
TURNED = {
    "double_blocks.1.img_attn.q_proj": VIDEO["q"],
    "double_blocks.1.img_attn.k_proj": VIDEO["k"],
    "double_blocks.1.txt_attn.q_proj": TEXT["q"],
    "double_blocks.1.txt_attn.k_proj": TEXT["k"],
    "double_blocks.1.img_attn.norm.query_norm": f"{DUAL}.attn.norm_q",
    "double_blocks.1.img_attn.norm.key_norm": f"{DUAL}.attn.norm_k",
    "double_blocks.1.txt_attn.norm.query_norm": f"{DUAL}.attn.norm_added_q",
    "double_blocks.1.txt_attn.norm.key_norm": f"{DUAL}.attn.norm_added_k",
    "single_blocks.1.q_proj": f"{SINGLE}.attn.to_q",
    "single_blocks.1.k_proj": f"{SINGLE}.attn.to_k",
    "single_blocks.1.norm.query_norm": f"{SINGLE}.attn.norm_q",
    "single_blocks.1.norm.key_norm": f"{SINGLE}.attn.norm_k",
}


def interleaved(x, head_dim):
    """(even, odd) numbers of each head, one half after the other -> neighbours."""
    heads = x.reshape(-1, 2, head_dim // 2, *x.shape[1:])
    return np.moveaxis(heads, 1, 2).reshape(x.shape)


@pytest.mark.parametrize("name", TABLES)
def test_their_own_names(name):
    config, native, diffusers, names = TABLES[name]
    params = random_params(Network.of(make(config)))
    theirs, known = write(native(config), params), write(diffusers(config), params)
    seen = {"final_layer.adaLN_modulation.1"}
    for kind in ("weight", "bias"):
        last = theirs[f"final_layer.adaLN_modulation.1.{kind}"]
        shift, scale = np.split(last, 2)
        want = known[f"norm_out.linear.{kind}"]
        np.testing.assert_array_equal(np.concatenate([scale, shift]), want)
    for key, parts in names.items():
        seen.add(key)
        for kind in ("weight", "bias"):
            if f"{key}.{kind}" in theirs:
                want = np.concatenate([known[f"{part}.{kind}"] for part in parts])
                np.testing.assert_array_equal(theirs[f"{key}.{kind}"], want, key)
    for key, other in TURNED.items() if name == "open_sora" else ():
        seen.add(key)
        for kind, its in (("weight", "weight"), ("bias", "bias"), ("scale", "weight")):
            if f"{key}.{kind}" in theirs:
                got = interleaved(theirs[f"{key}.{kind}"], config.head_dim)
                np.testing.assert_array_equal(got, known[f"{other}.{its}"], key)
    second = {re.sub(r"blocks\.\d\.", "blocks.1.", key) for key in theirs}
    assert {key.rpartition(".")[0] for key in second} == seen


@pytest.mark.parametrize("name", TABLES)
def test_their_own_names_there_and_back(name):
    config, native, *_ = TABLES[name]
    params = random_params(Network.of(make(config)))
    shapes = {path: x.shape for path, x in params.items()}
    back = read(native(config), shapes, write(native(config), params))
    for path, want in params.items():
        np.testing.assert_array_equal(back[path], want, path)


def test_what_is_given_to_open_sora_lies_channels_first():
    config = JointConfig(
        **SIZES,
        text_dim=16,
        text_projection="linear",
        given_channels=4,
        given_embedder=True,
    )
    params = random_params(Network.of(make(config)))
    theirs = write(weights.open_sora_native(config), params)["cond_in.weight"]
    ours = np.asarray(params["given_embedder.kernel"]).reshape(2, 2, 4, -1)
    np.testing.assert_array_equal(
        theirs.reshape(-1, 4, 2, 2), ours.transpose(3, 2, 0, 1)
    )


def test_open_soras_heads_in_halves_score_as_ours():
    """Its rotation, LigerEmbedND: pairs (i, i + E/2), frames' angles before rows' ..."""
    rng = np.random.default_rng(0)
    split, coords = (4, 6, 6), rng.integers(0, 9, (5, 4)).astype(np.float32)
    q_NE, k_NE = rng.standard_normal((2, 5, 16))
    angles = [
        coords[:, axis, None] / 1e4 ** (np.arange(0, dim, 2) / dim)
        for axis, dim in enumerate(split)
    ]
    angles_NE = np.tile(np.concatenate(angles, axis=1), 2)

    def theirs(x_NE):
        x_NE = halves((16,)).theirs(x_NE)
        low_NE, high_NE = np.split(x_NE, 2, axis=1)
        turned_NE = np.concatenate([-high_NE, low_NE], axis=1)
        return x_NE * np.cos(angles_NE) + turned_NE * np.sin(angles_NE)

    ours = [
        rotate(jnp.asarray(x, jnp.float32), *rope(coords, split)) for x in (q_NE, k_NE)
    ]
    want = theirs(q_NE) @ theirs(k_NE).T
    np.testing.assert_allclose(ours[0] @ ours[1].T, want, atol=1e-4)
