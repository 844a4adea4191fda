"""The authors' own file of Mochi and diffusers' hold the same tensors."""

import re

import numpy as np
from networks import random_params

from videogen.models.mochi import weights
from videogen.models.mochi.config import MochiConfig
from videogen.models.mochi.model import make
from videogen.models.weights import read, write
from videogen.nn.fence import Network

TINY = MochiConfig(
    **{"latent_channels": 4, "width": 32, "depth": 3, "num_heads": 2, "mlp_width": 64},
    **{"text_dim": 16, "text_width": 16, "text_mlp_width": 24},
)
# Theirs -> diffusers', as diffusers' converter has it.
NAMES = (
    (r"^blocks\.", "transformer_blocks."),
    (r"\.mod_x\.", ".norm1.linear."),
    (r"(\.2)\.mod_y\.", r"\1.norm1_context.linear_1."),
    (r"\.mod_y\.", ".norm1_context.linear."),
    (r"\.attn\.([qk])_norm_x\.", r".attn1.norm_\1."),
    (r"\.attn\.([qk])_norm_y\.", r".attn1.norm_added_\1."),
    (r"\.attn\.proj_x\.", ".attn1.to_out.0."),
    (r"\.attn\.proj_y\.", ".attn1.to_add_out."),
    (r"\.mlp_x\.w1\.", ".ff.net.0.proj."),
    (r"\.mlp_y\.w1\.", ".ff_context.net.0.proj."),
    (r"\.mlp_x\.w2\.", ".ff.net.2."),
    (r"\.mlp_y\.w2\.", ".ff_context.net.2."),
    (r"^x_embedder\.", "patch_embed."),
    (r"^t_embedder\.mlp\.0\.", "time_embed.timestep_embedder.linear_1."),
    (r"^t_embedder\.mlp\.2\.", "time_embed.timestep_embedder.linear_2."),
    (r"^t5_y_embedder\.", "time_embed.pooler."),
    (r"^t5_yproj\.", "time_embed.caption_proj."),
    (r"^final_layer\.mod\.", "norm_out.linear."),
    (r"^final_layer\.linear\.", "proj_out."),
)


def converted(native):
    """Names changed, q, k and v apart, (gate, up) and (shift, scale) turned round."""
    found = {}
    for name, x in native.items():
        stream = re.search(r"qkv_([xy])", name)
        if stream:
            prefix = re.sub(r"^blocks(.*)attn.*", r"transformer_blocks\1attn1.", name)
            to = "to_{}.weight" if stream[1] == "x" else "add_{}_proj.weight"
            parts = np.split(x, 3)
            found |= {
                prefix + to.format(n): p for n, p in zip("qkv", parts, strict=True)
            }
            continue
        if ".w1." in name or "final_layer.mod" in name:
            x = np.concatenate(np.split(x, 2)[::-1])
        for pattern, replacement in NAMES:
            name = re.sub(pattern, replacement, name)
        found[name] = x
    return found


def test_the_authors_file_is_diffusers():
    params = random_params(Network.of(make(TINY)))
    native = write(weights.mochi_native(TINY), params)
    want = write(weights.mochi(TINY), params)
    got = converted(native)
    assert got.keys() == want.keys()
    for key in want:
        np.testing.assert_array_equal(got[key], want[key], err_msg=key)
    shapes = {path: x.shape for path, x in params.items()}
    back = read(weights.mochi_native(TINY), shapes, native)
    for path in params:
        np.testing.assert_array_equal(back[path], params[path], err_msg=path)
