"""What released checkpoints call our parameters, and diffusers our sizes."""

from typing import Any

from videogen.models.diffusers import config_json
from videogen.models.kandinsky.config import KandinskyConfig
from videogen.models.weights import (
    LINEAR,
    Rule,
    WeightTable,
    channels_first,
)
from videogen.nn.position import sincos_split


def diffusers(config: KandinskyConfig) -> WeightTable:
    """diffusers.Kandinsky5Transformer3DModel, and the authors' own files: the same names."""
    out = channels_first(config.latent_channels, config.patch)
    return WeightTable(
        stacks={
            "text_blocks": "text_transformer_blocks.{}",
            "blocks": "visual_transformer_blocks.{}",
        },
        renames=(
            (
                r"^(text|visual)(.*)\.modulation\.linear\.",
                r"\1\2.\1_modulation.out_layer.",
            ),
            (r"\.attn1\.", ".self_attention."),
            (r"\.attn2\.", ".cross_attention."),
            (r"\.to_q\.", ".to_query."),
            (r"\.to_k\.", ".to_key."),
            (r"\.to_v\.", ".to_value."),
            (r"\.to_out\.", ".out_layer."),
            (r"\.norm_q\.", ".query_norm."),
            (r"\.norm_k\.", ".key_norm."),
            (r"\.ff\.up\.", ".feed_forward.in_layer."),
            (r"\.ff\.down\.", ".feed_forward.out_layer."),
            (r"^time_embedder\.linear_1", "time_embeddings.in_layer"),
            (r"^time_embedder\.linear_2", "time_embeddings.out_layer"),
            (r"^text_embedder\.linear", "text_embeddings.in_layer"),
            (r"^text_embedder\.norm", "text_embeddings.norm"),
            (r"^pooled_embedder\.linear", "pooled_text_embeddings.in_layer"),
            (r"^pooled_embedder\.norm", "pooled_text_embeddings.norm"),
            (r"^patch_embedding", "visual_embeddings.in_layer"),
            (r"^norm_out\.linear", "out_layer.modulation.out_layer"),
            (r"^proj_out", "out_layer.out_layer"),
        ),
        rules=(
            Rule(
                pattern=r"^(out_layer\.out_layer)\.kernel$",
                key=r"\1.weight",
                layout=LINEAR.then(out),
            ),
            Rule(pattern=r"^out_layer\.out_layer\.bias$", key=r"\g<0>", layout=out),
        ),
    )


def diffusers_config(config: KandinskyConfig) -> dict[str, Any]:
    """config.json of diffusers.Kandinsky5Transformer3DModel."""
    return config_json(
        "Kandinsky5Transformer3DModel",
        config,
        {"freq_dim": config.width, "rope_theta": 1e4},
        in_visual_dim=config.latent_channels,
        out_visual_dim=config.latent_channels,
        in_text_dim=config.text_dim,
        in_text_dim2=config.pooled_dim,
        time_dim=config.time_dim,
        patch_size=list(config.patch),
        model_dim=config.width,
        ff_dim=config.mlp_width,
        num_text_blocks=config.text_depth,
        num_visual_blocks=config.depth,
        axes_dims=list(config.rope_split or sincos_split(config.head_dim)),
        visual_cond=config.given_channels > 0,
        attention_type="regular",
    )
