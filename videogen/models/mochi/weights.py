"""What released checkpoints call our parameters, and diffusers our sizes."""

import re
from typing import Any

from videogen.models.diffusers import config_json, trunk
from videogen.models.mochi.config import MochiConfig
from videogen.models.weights import (
    LINEAR,
    NEGATED,
    SWAPPED,
    Rule,
    WeightTable,
    patch_conv,
)


def mochi(config: MochiConfig) -> WeightTable:
    """diffusers.MochiTransformer3DModel."""
    return WeightTable(
        stacks={
            "blocks": "transformer_blocks.{}",
            "last_blocks": f"transformer_blocks.{config.depth - 1}",
        },
        renames=(
            (r"\.video\.to_out\.", ".to_out.0."),
            (r"\.text\.to_out\.", ".to_add_out."),
            (r"\.text\.to_([qkv])\.", r".add_\1_proj."),
            (r"\.text\.norm_([qk])\.", r".norm_added_\1."),
            (r"\.video\.", "."),
            (rf"^(\w+\.{config.depth - 1}\.norm1_context)\.linear\.", r"\1.linear_1."),
            (r"^patch_embed\.", "patch_embed.proj."),
        ),
        rules=(
            *_swiglu(r"\.ff", config.mlp_width, ".net.0.proj", ("up", "gate")),
            *_swiglu(
                r"\.ff_context", config.text_mlp_width, ".net.0.proj", ("up", "gate")
            ),
            Rule(pattern=r"\.down\.kernel", key=".net.2.weight", layout=LINEAR),
            *_ends(config, "patch_embed.proj", "proj_out"),
        ),
    )


def mochi_config(config: MochiConfig) -> dict[str, Any]:
    """config.json of diffusers.MochiTransformer3DModel."""
    mlps = {"mlp_width": 8 * config.width // 3}
    mlps |= {"text_mlp_width": 8 * config.text_width // 3}
    return config_json(
        "MochiTransformer3DModel",
        config,
        mlps | {"pool_heads": 8, "norm_eps": 1e-6, "position_area": 192.0 * 192.0},
        **trunk(config),
        patch_size=config.patch[1],
        in_channels=config.latent_channels,
        pooled_projection_dim=config.text_width,
        text_embed_dim=config.text_dim,
        time_embed_dim=config.freq_dim,
    )


def mochi_native(config: MochiConfig) -> WeightTable:
    """The authors' own file: genmoai/mochi, joint_model/asymm_models_joint.py."""
    width = config.width
    qkv = [
        Rule(
            pattern=rf"\.qkv_([xy])\.{name}\.kernel",
            key=r".qkv_\1.weight",
            layout=LINEAR,
            rows=(part * width, (part + 1) * width),
        )
        for part, name in enumerate("qkv")
    ]
    return WeightTable(
        stacks={"blocks": "blocks.{}", "last_blocks": f"blocks.{config.depth - 1}"},
        renames=(
            (r"\.norm1_context\.linear\.", ".mod_y."),
            (r"\.norm1\.linear\.", ".mod_x."),
            (r"\.ff_context\.", ".mlp_y."),
            (r"\.ff\.", ".mlp_x."),
            *_attention("video", "x"),
            *_attention("text", "y"),
            (r"^time_embed\.timestep_embedder\.linear_1", "t_embedder.mlp.0"),
            (r"^time_embed\.timestep_embedder\.linear_2", "t_embedder.mlp.2"),
            (r"^time_embed\.pooler", "t5_y_embedder"),
            (r"^time_embed\.caption_proj", "t5_yproj"),
            (r"^patch_embed\.", "x_embedder.proj."),
            (r"^norm_out\.linear\.", "final_layer.mod."),
            (r"^proj_out\.", "final_layer.linear."),
        ),
        rules=(
            *qkv,
            *_swiglu(r"\.mlp_x", config.mlp_width, ".w1", ("gate", "up")),
            *_swiglu(r"\.mlp_y", config.text_mlp_width, ".w1", ("gate", "up")),
            Rule(pattern=r"\.down\.kernel", key=".w2.weight", layout=LINEAR),
            Rule(
                pattern=r"(?<=^final_layer\.mod)\.kernel",
                key=".weight",
                layout=LINEAR.then(SWAPPED),
            ),
            Rule(pattern=r"^final_layer\.mod\.bias", key=r"\g<0>", layout=SWAPPED),
            *_ends(config, "x_embedder.proj", "final_layer.linear"),
        ),
    )


def _attention(ours: str, theirs: str) -> tuple[tuple[str, str], ...]:
    """Renames of one stream's projections and norms."""
    return (
        (rf"\.attn1\.{ours}\.to_([qkv])\.", rf".attn.qkv_{theirs}.\1."),
        (rf"\.attn1\.{ours}\.to_out\.", f".attn.proj_{theirs}."),
        (rf"\.attn1\.{ours}\.norm_([qk])\.", rf".attn.\1_norm_{theirs}."),
    )


def _ends(config: MochiConfig, first: str, last: str) -> tuple[Rule, ...]:
    """Of the layers by those names that patches come in and velocities go out by."""
    first, last = re.escape(first), re.escape(last)
    patches = patch_conv(config.latent_channels, config.patch[1:])
    out = LINEAR.then(NEGATED)
    return (
        Rule(pattern=rf"(?<=^{first})\.kernel", key=".weight", layout=patches),
        Rule(pattern=rf"(?<=^{last})\.kernel", key=".weight", layout=out),
        Rule(pattern=rf"^{last}\.bias", key=r"\g<0>", layout=NEGATED),
    )


def _swiglu(
    prefix: str, width: int, key: str, names: tuple[str, str]
) -> tuple[Rule, ...]:
    """One tensor of theirs is two of ours, in the order of names."""
    return tuple(
        Rule(
            pattern=rf"({prefix})\.{name}\.kernel",
            key=rf"\1{key}.weight",
            layout=LINEAR,
            rows=(part * width, (part + 1) * width),
        )
        for part, name in enumerate(names)
    )
