"""What released checkpoints call our parameters."""

from videogen.models.magi.config import MagiConfig
from videogen.models.weights import (
    LINEAR,
    NEGATED,
    Rule,
    WeightTable,
    halves,
    patch_conv,
)

GROUPS = 8  # their heads' order is that of 8 devices, whatever the number of heads


def magi_native(config: MagiConfig) -> WeightTable:
    """The authors' files (MAGI-1): inference/model/dit, before quantisation."""
    still = config.head_dim - 6 * (config.head_dim // 8)
    turned = halves((config.head_dim - still,) + (1,) * still)
    channels = config.latent_channels * config.latent_copies
    return WeightTable(
        stacks={"blocks": "videodit_blocks.layers.{}"},
        renames=_RENAMES,
        rules=(
            Rule(
                pattern=r"x_embedder\.kernel",
                key="x_embedder.weight",
                layout=patch_conv(channels, config.patch),
            ),
            Rule(
                pattern=r"(final_linear\.linear)\.kernel",
                key=r"\1.weight",
                layout=LINEAR.then(NEGATED),
            ),
            Rule(
                pattern=r"(linear_qkv\.[qk])\.kernel",
                key=r"\1.weight",
                layout=LINEAR.then(turned),
            ),
            Rule(pattern=r"([qk]_layernorm)\.scale", key=r"\1.weight", layout=turned),
            Rule(pattern=r"([qk]_layernorm)\.bias", key=r"\g<0>", layout=turned),
            *_fused(config),
        ),
    )


def _fused(config: MagiConfig) -> tuple[Rule, ...]:
    """Tensors of theirs that hold several of ours."""
    head, mlp = config.head_dim, config.mlp_width
    part = config.width // GROUPS
    kv, out = "linear_kv_xattn.weight", "linear_proj.weight"
    pieces = (
        (r"linear_kv_xattn\.k\.kernel", kv, (0, head), 0, 2 * head),
        (r"linear_kv_xattn\.v\.kernel", kv, (head, 2 * head), 0, 2 * head),
        (r"linear_proj\.own\.kernel", out, (0, part), 1, 2 * part),
        (r"linear_proj\.text\.kernel", out, (part, 2 * part), 1, 2 * part),
        (r"mlp\.ffn\.gate\.kernel", "mlp.linear_fc1.weight", (0, mlp), 0, 2 * mlp),
    )
    up = (r"mlp\.ffn\.up\.kernel", "mlp.linear_fc1.weight", (0, mlp), 0, mlp)
    if config.mlp == "swiglu":
        up = (*up[:2], (mlp, 2 * mlp), 0, 2 * mlp)
    return tuple(
        Rule(pattern=x, key=key, layout=LINEAR, rows=rows, rows_dim=dim, period=period)
        for x, key, rows, dim, period in (*pieces, up)
    )


_RENAMES = (
    (r"^patch_embedding", "x_embedder"),
    (r"^condition_embedder\.time_embedder\.linear_1", "t_embedder.mlp.0"),
    (r"^condition_embedder\.time_embedder\.linear_2", "t_embedder.mlp.2"),
    (r"^condition_embedder\.text_embedder", "y_embedder.y_proj_xattn.0"),
    (r"^condition_embedder\.pooled_embedder", "y_embedder.y_proj_adaln.0"),
    (r"^condition_embedder\.null_text", "y_embedder.null_caption_embedding"),
    (r"^norm_out", "videodit_blocks.final_layernorm"),
    (r"^proj_out", "final_linear.linear"),
    (r"\.modulation\.linear", ".ada_modulate_layer.proj.0"),
    (r"\.norm1", ".self_attention.linear_qkv.layer_norm"),
    (r"\.attn1\.to_([qkv])", r".self_attention.linear_qkv.\1"),
    (r"\.attn1\.norm_([qk])", r".self_attention.\1_layernorm"),
    (r"\.attn1\.to_out", ".self_attention.linear_proj.own"),
    (r"\.attn2\.to_q", ".self_attention.linear_qkv.qx"),
    (r"\.attn2\.to_([kv])", r".self_attention.linear_kv_xattn.\1"),
    (r"\.attn2\.norm_([qk])", r".self_attention.\1_layernorm_xattn"),
    (r"\.attn2\.to_out", ".self_attention.linear_proj.text"),
    (r"\.post_norm1", ".self_attn_post_norm"),
    (r"\.norm2", ".mlp.layer_norm"),
    (r"\.ffn\.down", ".mlp.linear_fc2"),
    (r"\.ffn\.(up|gate)", r".mlp.ffn.\1"),
    (r"\.post_norm2", ".mlp_post_norm"),
)
