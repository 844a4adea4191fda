"""What released checkpoints call our parameters, and diffusers our sizes."""

from typing import Any

from videogen.core.errors import ConfigError
from videogen.models.cosmos.config import CosmosConfig
from videogen.models.diffusers import config_json, trunk
from videogen.models.weights import (
    LINEAR,
    Rule,
    WeightTable,
    channels_first,
    halves,
)


def diffusers(config: CosmosConfig) -> WeightTable:
    """diffusers.CosmosTransformer3DModel."""
    return WeightTable(
        stacks={"blocks": "transformer_blocks.{}"},
        renames=(
            (r"\.to_out\.", ".to_out.0."),
            (r"\.ff\.up\.", ".ff.net.0.proj."),
            (r"\.ff\.down\.", ".ff.net.2."),
            (r"^patch_embed", "patch_embed.proj"),
            (r"^time_embed\.linear", "time_embed.t_embedder.linear"),
            (r"^crossattn_proj", "crossattn_proj.0"),
            *_positions("learnable_pos_embed"),
        ),
        rules=_rules(config, r"^patch_embed\.proj", r"\.attn1\.", r"to_[qk]", "norm_"),
    )


def diffusers_config(config: CosmosConfig) -> dict[str, Any]:
    """config.json of diffusers.CosmosTransformer3DModel."""
    sizes = config.position_sizes if config.has_positions else (128, 120, 120)
    return config_json(
        "CosmosTransformer3DModel",
        config,
        {"freq_dim": config.width, "rope_theta": 1e4},
        **trunk(config),
        # The mask of padding, the last of what is given, is not counted.
        in_channels=config.latent_channels + config.given_channels - 1,
        out_channels=config.latent_channels,
        mlp_ratio=config.mlp_width / config.width,
        text_embed_dim=config.kv_dim,
        adaln_lora_dim=config.lora_rank,
        max_size=[n * p for n, p in zip(sizes, config.patch, strict=True)],
        patch_size=list(config.patch),
        rope_scale=list(config.rope_ntk),
        concat_padding_mask=True,
        extra_pos_embed_type="learnable" if config.has_positions else None,
        use_crossattn_projection=config.text_proj_dim > 0,
        crossattn_proj_in_channels=config.text_dim,
        encoder_hidden_states_channels=config.kv_dim,
    )


def predict2(config: CosmosConfig) -> WeightTable:
    """The authors' own files of Predict2 and 2.5, whose names all begin with "net."."""
    renames = (
        (r"\.norm1\.linear_", ".adaln_modulation_self_attn."),
        (r"\.norm2\.linear_", ".adaln_modulation_cross_attn."),
        (r"\.norm3\.linear_", ".adaln_modulation_mlp."),
        (r"\.attn1\.", ".self_attn."),
        (r"\.attn2\.", ".cross_attn."),
        (r"\.to_out\.", ".output_proj."),
        (r"\.to_([qkv])\.", r".\1_proj."),
        (r"\.norm_([qk])\.", r".\1_norm."),
        (r"\.ff\.up\.", ".mlp.layer1."),
        (r"\.ff\.down\.", ".mlp.layer2."),
        (r"^norm_out\.linear_", "final_layer.adaln_modulation."),
        (r"^proj_out", "final_layer.linear"),
        (r"^patch_embed", "x_embedder.proj.1"),
        (r"^time_embed\.linear", "t_embedder.1.linear"),
        (r"^time_embed\.norm", "t_embedding_norm"),
        (r"^crossattn_proj", "crossattn_proj.0"),
        (r"^", "net."),
    )
    return WeightTable(
        stacks={"blocks": "blocks.{}"},
        renames=renames,
        rules=_rules(
            *(
                config,
                r"x_embedder\.proj\.1",
                r"\.self_attn\.",
                "[qk]_proj",
                "[qk]_norm",
            )
        ),
        ignored=r"(^|\.)(accum_\w+|pos_embedder\.\w+)$|_extra_state$",
    )


def _positions(prefix: str) -> tuple[tuple[str, str], ...]:
    names = {"frames": "t", "rows": "h", "columns": "w"}
    return tuple(
        (rf"^learnable_pos_embed\.{ours}", f"{prefix}.pos_emb_{theirs}")
        for ours, theirs in names.items()
    )


def _rules(
    config: CosmosConfig, patch: str, attention: str, qk: str, norm: str
) -> tuple[Rule, ...]:
    """Patches lie channels first as they come in; heads are turned by halves."""
    if config.patch[0] != 1:
        raise ConfigError(
            f"model.patch={config.patch}: released checkpoints have patches of one frame"
        )
    channels = config.latent_channels + config.given_channels
    turned = halves((config.head_dim,))
    return (
        Rule(
            pattern=rf"({patch})\.kernel$",
            key=r"\1.weight",
            layout=channels_first(channels, config.patch).then(LINEAR),
        ),
        Rule(
            pattern=rf"({attention}{qk})\.kernel$",
            key=r"\1.weight",
            layout=LINEAR.then(turned),
        ),
        Rule(
            pattern=rf"({attention}{norm}\w*)\.scale$",
            key=r"\1.weight",
            layout=turned,
        ),
    )
