"""What released checkpoints call our parameters, and diffusers our sizes."""

from typing import Any

from videogen.models.cogvideox.config import CogVideoXConfig
from videogen.models.diffusers import config_json, trunk
from videogen.models.weights import (
    LEADING_ONE,
    LINEAR,
    Layout,
    Rule,
    WeightTable,
    channels_first,
    patch_conv,
)


def cogvideox(config: CogVideoXConfig) -> WeightTable:
    """diffusers.CogVideoXTransformer3DModel."""
    out = channels_first(config.latent_channels, config.patch)
    return WeightTable(
        stacks={"blocks": "transformer_blocks.{}"},
        renames=(
            (r"\.to_out\.", ".to_out.0."),
            (r"\.ff\.up\.", ".ff.net.0.proj."),
            (r"\.ff\.down\.", ".ff.net.2."),
        ),
        rules=(
            Rule(
                pattern=r"(?<=^patch_embed\.proj)\.kernel",
                key=".weight",
                layout=_patches(config),
            ),
            Rule(
                pattern=r"(?<=^patch_embed\.pos_embedding)\.table",
                key="",
                layout=LEADING_ONE,
            ),
            Rule(
                pattern=r"(?<=^proj_out)\.kernel",
                key=".weight",
                layout=LINEAR.then(out),
            ),
            Rule(pattern=r"^proj_out\.bias", key=r"\g<0>", layout=out),
        ),
    )


def cogvideox_config(config: CogVideoXConfig) -> dict[str, Any]:
    """config.json of diffusers.CogVideoXTransformer3DModel, whose caption has 226 tokens."""
    has_table = any(config.position_sizes)
    grid = config.position_sizes if has_table else (13, 30, 45)
    frames, height, width = (n * p for n, p in zip(grid, config.patch, strict=True))
    by_frame, by_row, _ = config.position_scale
    square = {"position_scale": (by_frame, by_row, by_row)}
    return config_json(
        "CogVideoXTransformer3DModel",
        config,
        square | {"mlp_width": 4 * config.width, "freq_dim": config.width},
        **trunk(config),
        in_channels=config.latent_channels + config.given_channels,
        out_channels=config.latent_channels,
        time_embed_dim=config.time_dim,
        ofs_embed_dim=None if config.offset is None else config.time_dim,
        text_embed_dim=config.text_dim,
        sample_frames=4 * (frames - 1) + 1,
        sample_height=height,
        sample_width=width,
        patch_size=config.patch[1],
        patch_size_t=config.patch[0] if config.patch[0] > 1 else None,
        max_text_seq_length=config.position_text if has_table else 226,
        norm_eps=config.norm_eps,
        temporal_interpolation_scale=1 / by_frame,
        spatial_interpolation_scale=1 / by_row,
        use_rotary_positional_embeddings=config.position == "rope",
        use_learned_positional_embeddings=has_table,
    )


def _patches(config: CogVideoXConfig) -> Layout:
    """A convolution over one frame's patches; where they have more frames, a linear layer."""
    channels = config.latent_channels + config.given_channels
    if config.patch[0] == 1:
        return patch_conv(channels, config.patch[1:])
    return channels_first(channels, config.patch).then(LINEAR)
