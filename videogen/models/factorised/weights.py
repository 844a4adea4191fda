"""What released checkpoints call our parameters, and diffusers our sizes."""

from typing import Any

from videogen.models.diffusers import config_json, trunk
from videogen.models.factorised.config import FactorisedConfig
from videogen.models.weights import (
    ADALN_SINGLE,
    LINEAR,
    Rule,
    WeightTable,
    halves,
    patch_conv,
)


def _patches(config: FactorisedConfig, pattern: str, patch: tuple[int, ...]) -> Rule:
    """The patch embedding, a strided convolution of theirs."""
    layout = patch_conv(config.latent_channels, patch)
    return Rule(pattern=rf"(?<={pattern})\.kernel", key=".weight", layout=layout)


def latte(config: FactorisedConfig) -> WeightTable:
    """diffusers.LatteTransformer3DModel."""
    return WeightTable(
        stacks={
            "blocks.first": "transformer_blocks.{}",
            "blocks.second": "temporal_transformer_blocks.{}",
        },
        renames=ADALN_SINGLE,
        rules=(_patches(config, r"^pos_embed\.proj", config.patch[1:]),),
    )


def latte_config(config: FactorisedConfig, frames: int) -> dict[str, Any]:
    """config.json of diffusers.LatteTransformer3DModel, for `frames` latent ones or one."""
    fixed = {"groups": ("spatial", "temporal"), "full_pairs": 0, "qk_norm": None}
    fixed |= {"text_in_second": False, "position": "sincos", "embeds_fps": False}
    fixed |= {"mlp_width": 4 * config.width, "freq_dim": 256, "norm_eps": 1e-6}
    # From sample_size=128 on they squeeze positions.
    fixed |= {"position_base": min(config.position_base, 127 // config.patch[1])}
    return config_json(
        "LatteTransformer3DModel",
        config,
        fixed,
        **trunk(config),
        in_channels=config.latent_channels,
        out_channels=config.latent_channels * (2 if config.learn_sigma else 1),
        cross_attention_dim=config.width,
        attention_bias=True,
        sample_size=config.position_base * config.patch[1],
        patch_size=config.patch[1],
        activation_fn="gelu-approximate",
        num_embeds_ada_norm=1000,
        norm_type="ada_norm_single",
        norm_elementwise_affine=False,
        norm_eps=config.norm_eps,
        caption_channels=config.text_dim,
        video_length=frames,
    )


def open_sora_plan(config: FactorisedConfig) -> WeightTable:
    """The authors' files (v1.3.0: opensora_v1_3), whose heads are turned by halves."""
    depth, full = config.depth, config.full_pairs
    runs = {
        "first_blocks": range(full),
        "blocks": range(full, depth - full),
        "last_blocks": range(depth - full, depth),
    }
    stacks = {
        f"{name}.{block}": [f"transformer_blocks.{2 * i + second}" for i in pairs]
        for name, pairs in runs.items()
        for second, block in enumerate(("first", "second"))
    }
    turned = halves(config.rope_split or (config.head_dim,))
    return WeightTable(
        stacks=stacks,
        renames=ADALN_SINGLE,
        rules=(
            _patches(config, r"^pos_embed\.proj", config.patch[1:]),
            Rule(
                pattern=r"(attn1\.to_[qk])\.kernel",
                key=r"\1.weight",
                layout=LINEAR.then(turned),
            ),
            Rule(pattern=r"attn1\.to_[qk]\.bias", key=r"\g<0>", layout=turned),
        ),
    )


def open_sora(config: FactorisedConfig) -> WeightTable:
    """The authors' files (v1.2.0: stdit3.py): q, k and v stand in one tensor, as do k, v.

    Not read: the null caption, of 300 embeddings that are not learned, and RoPE's rates.
    """
    return WeightTable(
        stacks={
            "blocks.first": "spatial_blocks.{}",
            "blocks.second": "temporal_blocks.{}",
        },
        renames=(
            (r"\.attn1\.norm_([qk])", r".attn.\1_norm"),
            (r"\.attn1\.", ".attn."),
            (r"\.attn2\.", ".cross_attn."),
            (r"\.to_out\.", ".proj."),
            (r"\.ffn\.up\.", ".mlp.fc1."),
            (r"\.ffn\.down\.", ".mlp.fc2."),
            (r"cross_attn\.to_q", "cross_attn.q_linear"),
            (r"^patch_embedding", "x_embedder.proj"),
            (r"^condition_embedder\.text_embedder\.linear_", "y_embedder.y_proj.fc"),
            (r"^condition_embedder\.time_proj", "t_block.1"),
            (r"^condition_embedder\.time_embedder\.linear_1", "t_embedder.mlp.0"),
            (r"^condition_embedder\.time_embedder\.linear_2", "t_embedder.mlp.2"),
            (r"^condition_embedder\.fps_embedder\.linear_1", "fps_embedder.mlp.0"),
            (r"^condition_embedder\.fps_embedder\.linear_2", "fps_embedder.mlp.2"),
            (r"^scale_shift_table$", "final_layer.scale_shift_table"),
            (r"^proj_out", "final_layer.linear"),
        ),
        rules=(
            _patches(config, r"^x_embedder\.proj", config.patch),
            *_rows("attn.to_", "qkv", "attn.qkv", config.width),
            *_rows("cross_attn.to_", "kv", "cross_attn.kv_linear", config.width),
        ),
        ignored=r"^y_embedder\.y_embedding$|^rope\.freqs$",
    )


def _rows(prefix: str, letters: str, key: str, width: int) -> list[Rule]:
    """Linear layers of ours, one under the other in one of theirs."""
    rules = []
    for i, letter in enumerate(letters):
        name = rf"(?<=\.){prefix.replace('.', '[.]')}{letter}"
        rows = (i * width, (i + 1) * width)
        kernel = {"key": f"{key}.weight", "layout": LINEAR, "rows": rows}
        rules += [
            Rule(pattern=rf"{name}\.kernel", **kernel),
            Rule(pattern=rf"{name}\.bias", key=f"{key}.bias", rows=rows),
        ]
    return rules
