"""What released checkpoints call our parameters, and diffusers our sizes."""

from typing import Any

from videogen.models.cross.config import CrossConfig
from videogen.models.diffusers import config_json, trunk
from videogen.models.weights import (
    ADALN_SINGLE,
    LEADING_ONE,
    LINEAR,
    PIXART,
    SAME,
    Rule,
    WeightTable,
    halves,
    patch_conv,
)


def _patches(config: CrossConfig, pattern: str, patch: tuple[int, ...]) -> Rule:
    """The patch embedding, a strided convolution of theirs."""
    channels = config.latent_channels + config.given_channels
    return Rule(pattern=pattern, key=".weight", layout=patch_conv(channels, patch))


def wan(config: CrossConfig) -> WeightTable:
    """diffusers.WanTransformer3DModel."""
    image = "condition_embedder.image_embedder"
    return WeightTable(
        stacks={"blocks": "blocks.{}"},
        renames=(
            (r"\.to_out\.", ".to_out.0."),
            (r"\.ffn\.up\.", ".ffn.net.0.proj."),
            (r"\.ffn\.down\.", ".ffn.net.2."),
            (r"^image_embedder\.linear_1", f"{image}.ff.net.0.proj"),
            (r"^image_embedder\.linear_2", f"{image}.ff.net.2"),
            (r"^image_embedder", image),
        ),
        rules=(
            _patches(config, r"(?<=^patch_embedding)\.kernel", config.patch),
            Rule(pattern=r"scale_shift_table$", key=r"\g<0>", layout=LEADING_ONE),
        ),
    )


def wan_native(config: CrossConfig) -> WeightTable:
    """The authors' own files (Wan2.1, Wan2.2): wan/modules/model.py."""
    return WeightTable(
        stacks={"blocks": "blocks.{}"},
        renames=(
            (r"\.attn1\.", ".self_attn."),
            (r"\.attn2\.", ".cross_attn."),
            (r"\.to_out\.", ".o."),
            (r"\.to_([qkv])\.", r".\1."),
            (r"\.add_([kv])_proj\.", r".\1_img."),
            (r"\.norm_added_k\.", ".norm_k_img."),
            (r"\.norm2\.", ".norm3."),
            (r"\.ffn\.up\.", ".ffn.0."),
            (r"\.ffn\.down\.", ".ffn.2."),
            (r"^(blocks\.\d+)\.scale_shift_table$", r"\1.modulation"),
            (r"^scale_shift_table$", "head.modulation"),
            (r"^proj_out", "head.head"),
            (r"^condition_embedder\.text_embedder\.linear_1", "text_embedding.0"),
            (r"^condition_embedder\.text_embedder\.linear_2", "text_embedding.2"),
            (r"^condition_embedder\.time_embedder\.linear_1", "time_embedding.0"),
            (r"^condition_embedder\.time_embedder\.linear_2", "time_embedding.2"),
            (r"^condition_embedder\.time_proj", "time_projection.1"),
            (r"^image_embedder\.norm1", "img_emb.proj.0"),
            (r"^image_embedder\.linear_1", "img_emb.proj.1"),
            (r"^image_embedder\.linear_2", "img_emb.proj.3"),
            (r"^image_embedder\.norm2", "img_emb.proj.4"),
        ),
        rules=(
            _patches(config, r"(?<=^patch_embedding)\.kernel", config.patch),
            Rule(pattern=r"modulation$", key=r"\g<0>", layout=LEADING_ONE),
        ),
    )


# What diffusers' classes have no arguments for.
_FIXED = {
    "mlp": "gelu_tanh",
    "bias": True,
    "mlp_bias": True,
    "norm": "layer",
    "text_projection": "mlp",
    "more_text_dims": (),
    "modulation": "shared",
    "position": "rope",
    "rope_theta": 1e4,
}


def wan_config(config: CrossConfig) -> dict[str, Any]:
    """config.json of diffusers.WanTransformer3DModel."""
    has_image = config.image_dim > 0
    rope = {"rope_split": None, "rope_scale": (1.0, 1.0, 1.0)}
    return config_json(
        "WanTransformer3DModel",
        config,
        _FIXED | {"qk_norm": "rms_full"} | rope,
        **trunk(config),
        patch_size=list(config.patch),
        in_channels=config.latent_channels + config.given_channels,
        out_channels=config.latent_channels,
        text_dim=config.text_dim,
        freq_dim=config.freq_dim,
        ffn_dim=config.mlp_width,
        cross_attn_norm=config.cross_norm is not None,
        qk_norm="rms_norm_across_heads",
        eps=config.norm_eps,
        image_dim=config.image_dim or None,
        added_kv_proj_dim=config.width if has_image else None,
        rope_max_seq_len=1024,
    )


def ltx(config: CrossConfig) -> WeightTable:
    """diffusers.LTXVideoTransformer3DModel."""
    return WeightTable(
        stacks={"blocks": "transformer_blocks.{}"},
        renames=(
            *PIXART,
            (r"^patch_embedding", "proj_in"),
            (
                r"^condition_embedder\.time_embedder",
                "time_embed.emb.timestep_embedder",
            ),
            (r"^condition_embedder\.time_proj", "time_embed.linear"),
        ),
    )


def ltx_config(config: CrossConfig) -> dict[str, Any]:
    """config.json of diffusers.LTXVideoTransformer3DModel."""
    fixed = {"norm": "rms", "cross_norm": None, "qk_norm": "rms_full"}
    fixed |= {"position": "fractional_rope", "mlp_width": 4 * config.width}
    return config_json(
        "LTXVideoTransformer3DModel",
        config,
        _FIXED | fixed | {"norm_eps": 1e-6, "freq_dim": 256},
        **trunk(config),
        in_channels=config.latent_channels,
        out_channels=config.latent_channels,
        patch_size=config.patch[1],
        patch_size_t=config.patch[0],
        cross_attention_dim=config.width,
        caption_channels=config.text_dim,
    )


def allegro(config: CrossConfig) -> WeightTable:
    """diffusers.AllegroTransformer3DModel, whose heads are turned by halves."""
    turned = halves(config.rope_split or (config.head_dim,))
    return WeightTable(
        stacks={"blocks": "transformer_blocks.{}"},
        renames=ADALN_SINGLE,
        rules=(
            _patches(config, r"(?<=^pos_embed\.proj)\.kernel", config.patch[1:]),
            Rule(
                pattern=r"(attn1\.to_[qk])\.kernel",
                key=r"\1.weight",
                layout=LINEAR.then(turned),
            ),
            Rule(pattern=r"attn1\.to_[qk]\.bias", key=r"\g<0>", layout=turned),
        ),
    )


def allegro_config(config: CrossConfig) -> dict[str, Any]:
    """config.json of diffusers.AllegroTransformer3DModel."""
    frames, rows, columns = (1 / scale for scale in config.rope_scale)
    fixed = {"cross_norm": None, "qk_norm": None, "mlp_width": 4 * config.width}
    return config_json(
        "AllegroTransformer3DModel",
        config,
        _FIXED | fixed | {"norm_eps": 1e-6, "freq_dim": 256},
        **trunk(config),
        patch_size=config.patch[1],
        patch_size_t=config.patch[0],
        in_channels=config.latent_channels,
        out_channels=config.latent_channels,
        cross_attention_dim=config.width,
        caption_channels=config.text_dim,
        interpolation_scale_t=frames,
        interpolation_scale_h=rows,
        interpolation_scale_w=columns,
    )


def step_video(config: CrossConfig) -> WeightTable:
    """The authors' files (Step-Video-T2V): stepvideo/modules/model.py.

    Each head's queries, keys and values lie together, and its parts are turned by halves.
    """
    head = config.head_dim
    turned = halves(config.rope_split or (head,))
    fused = [
        ("attn1", "q", "wqkv", 0, 3, turned),
        ("attn1", "k", "wqkv", 1, 3, turned),
        ("attn1", "v", "wqkv", 2, 3, SAME),
        ("attn2", "k", "wkv", 0, 2, SAME),
        ("attn2", "v", "wkv", 1, 2, SAME),
    ]
    return WeightTable(
        stacks={"blocks": "transformer_blocks.{}"},
        renames=(
            *ADALN_SINGLE,
            (r"^condition_embedder\.text2_embedder", "clip_projection"),
            (r"\.to_out\.0\.", ".wo."),
            (r"attn2\.to_q\.", "attn2.wq."),
            (r"\.norm_([qk])\.", r".\1_norm."),
            (r"\.norm3\.", ".norm2."),
        ),
        rules=(
            _patches(config, r"(?<=^pos_embed\.proj)\.kernel", config.patch[1:]),
            *(
                Rule(
                    pattern=rf"{attn}\.to_{name}\.kernel",
                    key=f"{attn}.{key}.weight",
                    layout=LINEAR.then(layout),
                    rows=(place * head, (place + 1) * head),
                    period=of * head,
                )
                for attn, name, key, place, of, layout in fused
            ),
            Rule(pattern=r"(attn1\.[qk]_norm)\.scale", key=r"\1.weight", layout=turned),
        ),
    )
