"""What released checkpoints call our parameters, and diffusers our sizes."""

from typing import Any

from videogen.models.diffusers import config_json, trunk
from videogen.models.joint.config import JointConfig
from videogen.models.weights import (
    LINEAR,
    SAME,
    SWAPPED,
    Layout,
    Rule,
    WeightTable,
    channels_first,
    halves,
    patch_conv,
)
from videogen.nn.position import rope_split

_REFINER = "condition_embedder.context_embedder.refiner_blocks"
_SINGLE = r"(single_\w+\.\d+)"


def _both(pattern: str, key: str, layout: Layout = SAME, **rows) -> tuple[Rule, Rule]:
    """The kernel and the bias of a layer, whose outputs lie as `layout` says."""
    kernel = LINEAR.then(layout)
    return (
        Rule(
            pattern=rf"{pattern}\.kernel$", key=rf"{key}.weight", layout=kernel, **rows
        ),
        Rule(pattern=rf"{pattern}\.bias$", key=rf"{key}.bias", layout=layout, **rows),
    )


def _one_output(config: JointConfig, attn: str, mlp: str, key: str) -> tuple[Rule, ...]:
    """Single blocks: one layer of [attention; MLP] in theirs, two in ours."""
    width, whole = config.width, config.width + config.mlp_width
    parts = (
        (rf"{_SINGLE}\.{attn}", (0, width)),
        (rf"{_SINGLE}\.{mlp}", (width, whole)),
    )
    kernels = [
        Rule(
            pattern=rf"{name}\.kernel$",
            key=rf"\1.{key}.weight",
            layout=LINEAR,
            rows=rows,
            rows_dim=1,
        )
        for name, rows in parts
    ]
    bias = Rule(pattern=rf"{_SINGLE}\.{attn}\.bias$", key=rf"\1.{key}.bias")
    return (*kernels, bias)


def _outputs_of(key: str, names: tuple[str, ...], size: int) -> tuple[Rule, ...]:
    """Layers that are one of theirs, their outputs one after the other, of `size` each."""
    rules: list[Rule] = []
    for i, name in enumerate(names):
        rules += _both(name, key, rows=(i * size, (i + 1) * size))
    return tuple(rules)


def _patches(config: JointConfig, name: str) -> Rule:
    """The patch embedding, a strided convolution of theirs."""
    given = 0 if config.given_embedder else config.given_channels
    channels = config.latent_channels + given
    return Rule(
        pattern=rf"(?<=^{name})\.kernel",
        key=".weight",
        layout=patch_conv(channels, config.patch),
    )


def _packed(config: JointConfig, name: str, channels: int) -> Rule:
    """An embedding of patches that are packed channels first."""
    layout = channels_first(channels, config.patch).then(LINEAR)
    return Rule(pattern=rf"(?<=^{name})\.kernel", key=".weight", layout=layout)


def _proj_out(config: JointConfig, name: str) -> tuple[Rule, Rule]:
    layout = channels_first(config.latent_channels, config.patch)
    return _both(rf"^{name}", name, layout)


_DIFFUSERS = (
    (r"^condition_embedder\.", ""),
    (r"\.attn\.video\.", ".attn."),
    (r"\.attn\.text\.to_out\.", ".attn.to_add_out."),
    (r"\.attn\.text\.to_([qkv])\.", r".attn.add_\1_proj."),
    (r"\.attn\.text\.norm_([qk])\.", r".attn.norm_added_\1."),
    (r"^((?!single_).*)\.to_out\.", r"\1.to_out.0."),
    (r"\.(ff|ff_context)\.up\.", r".\1.net.0.proj."),
    (r"\.(ff|ff_context)\.down\.", r".\1.net.2."),
)


def _diffusers(config: JointConfig, *renames, rules: tuple[Rule, ...]) -> WeightTable:
    return WeightTable(
        stacks={
            _REFINER: "context_embedder.token_refiner.refiner_blocks.{}",
            "transformer_blocks": "transformer_blocks.{}",
            "single_transformer_blocks": "single_transformer_blocks.{}",
        },
        renames=(*_DIFFUSERS, *renames),
        rules=(
            *_one_output(config, r"attn\.to_out", "proj_out", "proj_out"),
            *_proj_out(config, "proj_out"),
            *rules,
        ),
    )


def hunyuan(config: JointConfig) -> WeightTable:
    """diffusers.HunyuanVideoTransformer3DModel."""
    return _diffusers(
        config,
        (r"^x_embedder", "x_embedder.proj"),
        rules=(_patches(config, r"x_embedder\.proj"),),
    )


def hunyuan_config(config: JointConfig) -> dict[str, Any]:
    """config.json of diffusers.HunyuanVideoTransformer3DModel."""
    fixed = {"given_embedder": False, "more_text_dims": (), "image_dim": 0}
    fixed |= {"text_projection": "refiner", "freq_dim": 256}
    image = "token_replace" if config.clean_first_frame else None
    return config_json(
        "HunyuanVideoTransformer3DModel",
        config,
        fixed,
        **_refined(config),
        num_single_layers=config.single_depth,
        guidance_embeds=config.guidance,
        pooled_projection_dim=config.pooled_dim,
        image_condition_type="latent_concat" if config.given_channels else image,
    )


def hunyuan_1_5(config: JointConfig) -> WeightTable:
    """diffusers.HunyuanVideo15Transformer3DModel."""
    return _diffusers(
        config,
        (r"^x_embedder", "x_embedder.proj"),
        (r"^time_text_embed", "time_embed"),
        (r"^image_embedder\.norm1", "image_embedder.norm_in"),
        (r"^image_embedder\.norm2", "image_embedder.norm_out"),
        (r"^cond_type_embed$", "cond_type_embed.weight"),
        rules=(_patches(config, r"x_embedder\.proj"),),
    )


def hunyuan_1_5_config(config: JointConfig) -> dict[str, Any]:
    """config.json of diffusers.HunyuanVideo15Transformer3DModel."""
    fixed = {"single_depth": 0, "pooled_dim": 0, "guidance": False}
    fixed |= {"given_embedder": False, "clean_first_frame": False}
    fixed |= {"text_projection": "refiner", "freq_dim": 256}
    text_dim = (*config.more_text_dims, 0)[0]
    return config_json(
        "HunyuanVideo15Transformer3DModel",
        config,
        fixed | {"more_text_dims": (text_dim,), "more_text_width": 2048},
        **_refined(config),
        text_embed_2_dim=text_dim,
        image_embed_dim=config.image_dim,
    )


def _refined(config: JointConfig) -> dict[str, Any]:
    """Arguments of both HunyuanVideos."""
    return {
        **trunk(config),
        "num_refiner_layers": config.refiner_depth,
        "in_channels": config.latent_channels + config.given_channels,
        "out_channels": config.latent_channels,
        "mlp_ratio": config.mlp_width / config.width,
        "patch_size": config.patch[1],
        "patch_size_t": config.patch[0],
        "text_embed_dim": config.text_dim,
        "rope_theta": config.rope_theta,
        "rope_axes_dim": list(config.rope_split or rope_split(config.head_dim)),
    }


def flux(config: JointConfig) -> WeightTable:
    """diffusers.FluxTransformer2DModel, from whose weights Open-Sora 2.0 started."""
    return _diffusers(
        config, rules=(_packed(config, "x_embedder", config.latent_channels),)
    )


def flux_config(config: JointConfig) -> dict[str, Any]:
    """config.json of diffusers.FluxTransformer2DModel, which is given patches, packed."""
    fixed = {"given_channels": 0, "text_projection": "linear", "more_text_dims": ()}
    fixed |= {"mlp_width": 4 * config.width, "rope_theta": 1e4, "freq_dim": 256}
    return config_json(
        "FluxTransformer2DModel",
        config,
        fixed | {"image_dim": 0, "clean_first_frame": False},
        **trunk(config),
        num_single_layers=config.single_depth,
        in_channels=config.token_dim,
        joint_attention_dim=config.text_dim,
        pooled_projection_dim=config.pooled_dim,
        guidance_embeds=config.guidance,
        axes_dims_rope=list(config.rope_split or rope_split(config.head_dim)),
    )


_VECTOR_NATIVE = (
    (r"^condition_embedder\.time_text_embed\.timestep_embedder", "time_in"),
    (r"^condition_embedder\.time_text_embed\.guidance_embedder", "guidance_in"),
    (r"^condition_embedder\.time_text_embed\.text_embedder", "vector_in"),
    (r"^(vector_in)\.linear_1", r"\1.in_layer"),
    (r"^(vector_in)\.linear_2", r"\1.out_layer"),
)
_BLOCKS_NATIVE = (
    (r"^(double_.*)\.attn\.(video|text)\.", r"\1.\2.attn."),
    (r"^(double_.*)\.ff\.", r"\1.video.mlp."),
    (r"^(double_.*)\.ff_context\.", r"\1.text.mlp."),
    (r"^(double_.*)\.norm1\.", r"\1.video.mod."),
    (r"^(double_.*)\.norm1_context\.", r"\1.text.mod."),
    (r"^(double_blocks\.\d+)\.video\.", r"\1.img_"),
    (r"^(double_blocks\.\d+)\.text\.", r"\1.txt_"),
    (r"^(single_.*)\.norm\.", r"\1.modulation."),
    (r"^(single_blocks\.\d+)\.proj_out", r"\1.linear2"),
    (r"^norm_out\.linear", "final_layer.adaLN_modulation.1"),
    (r"^proj_out", "final_layer.linear"),
)
_STACKS_NATIVE = {
    "transformer_blocks": "double_blocks.{}",
    "single_transformer_blocks": "single_blocks.{}",
}


def _native(config: JointConfig, *renames, rules: tuple[Rule, ...]) -> WeightTable:
    refiner = "txt_in.individual_token_refiner.blocks.{}"
    return WeightTable(
        stacks={_REFINER: refiner} | _STACKS_NATIVE,
        renames=(*_VECTOR_NATIVE, *_BLOCKS_NATIVE, *renames),
        rules=(
            *_both(
                r"^final_layer\.adaLN_modulation\.1",
                "final_layer.adaLN_modulation.1",
                SWAPPED,
            ),
            *_proj_out(config, r"final_layer.linear"),
            *rules,
        ),
    )


_HUNYUAN_NATIVE = (
    (r"^x_embedder", "img_in.proj"),
    (r"^condition_embedder\.context_embedder\.proj_in", "txt_in.input_embedder"),
    (r"^condition_embedder\.context_embedder\.time_text_embed\.", "txt_in."),
    (r"^txt_in\.timestep_embedder", "txt_in.t_embedder"),
    (r"^txt_in\.text_embedder", "txt_in.c_embedder"),
    (r"^(time_in|guidance_in|txt_in\.t_embedder)\.linear_1", r"\1.mlp.0"),
    (r"^(time_in|guidance_in|txt_in\.t_embedder)\.linear_2", r"\1.mlp.2"),
    (r"^(txt_in.*)\.attn\.", r"\1.self_attn."),
    (r"^(txt_in.*)\.ff\.", r"\1.mlp."),
    (r"^(txt_in.*)\.norm_out\.linear\.", r"\1.adaLN_modulation.1."),
    (r"mlp\.up\.", "mlp.fc1."),
    (r"mlp\.down\.", "mlp.fc2."),
    (r"attn\.norm_([qk])\.", r"attn.\1_norm."),
    (r"^(double_.*|txt_in.*)attn\.to_out\.", r"\1attn.proj."),
    (r"^(double_.*)(img|txt)_attn\.", r"\1\2_attn_"),
    (r"^(txt_in.*)self_attn\.", r"\1self_attn_"),
    (r"^(single_.*)\.attn\.([qk]_norm)\.", r"\1.\2."),
)


def _heads_together(config: JointConfig, prefix: str) -> tuple[Rule, ...]:
    """q, k and v, which are one layer of theirs."""
    names = tuple(f"(?<={prefix})to_{x}" for x in "qkv")
    return _outputs_of("qkv", names, config.width)


def hunyuan_native(config: JointConfig) -> WeightTable:
    """The authors' own files (HunyuanVideo, HunyuanVideo-I2V): hyvideo/modules/models.py."""
    width = config.width
    of_mlp = (3 * width, 3 * width + config.mlp_width)
    names = tuple(rf"{_SINGLE}\.attn\.to_{x}" for x in "qkv")
    return _native(
        config,
        *_HUNYUAN_NATIVE,
        rules=(
            *_one_output(config, r"attn\.to_out", "linear2", "linear2"),
            *_outputs_of(r"\1.linear1", names, width),
            *_both(rf"{_SINGLE}\.proj_mlp", r"\1.linear1", rows=of_mlp),
            *_heads_together(config, "attn_"),
            _patches(config, r"img_in\.proj"),
        ),
    )


def hunyuan_1_5_native(config: JointConfig) -> WeightTable:
    """The authors' own files of HunyuanVideo-1.5: q, k, v apart, but for the refiner's."""
    return _native(
        config,
        *_HUNYUAN_NATIVE,
        (r"^(double_.*attn)_to_([qkv])\.", r"\1_\2."),
        (r"^condition_embedder\.context_embedder_2\.norm", "byt5_in.layernorm"),
        (r"^condition_embedder\.context_embedder_2\.linear_", "byt5_in.fc"),
        (r"^condition_embedder\.image_embedder\.norm1", "vision_in.proj.0"),
        (r"^condition_embedder\.image_embedder\.linear_1", "vision_in.proj.1"),
        (r"^condition_embedder\.image_embedder\.linear_2", "vision_in.proj.3"),
        (r"^condition_embedder\.image_embedder\.norm2", "vision_in.proj.4"),
        (r"^condition_embedder\.cond_type_embed", "cond_type_embedding.weight"),
        rules=(
            *_heads_together(config, "self_attn_"),
            _patches(config, r"img_in\.proj"),
        ),
    )


def open_sora_native(config: JointConfig) -> WeightTable:
    """The authors' own files (Open-Sora v2): opensora/models/mmdit, fused_qkv=False.

    Their heads, video's and text's alike, are turned by halves of the whole head
    (use_liger_rope=True), so all that stands along a head of q and k is permuted.
    """
    width, turned = config.width, halves((config.head_dim,))
    of_v_mlp = (width, width + config.mlp_width)
    return _native(
        config,
        (r"^x_embedder", "img_in"),
        (r"^given_embedder", "cond_in"),
        (r"^condition_embedder\.context_embedder", "txt_in"),
        (r"^(time_in|guidance_in)\.linear_1", r"\1.in_layer"),
        (r"^(time_in|guidance_in)\.linear_2", r"\1.out_layer"),
        (r"(mod|modulation)\.linear\.", r"\1.lin."),
        (r"mlp\.up\.", "mlp.0."),
        (r"mlp\.down\.", "mlp.2."),
        (r"attn\.norm_q\.", "attn.norm.query_norm."),
        (r"attn\.norm_k\.", "attn.norm.key_norm."),
        (r"^(double_.*attn)\.to_out\.", r"\1.proj."),
        (r"^(single_.*)\.attn\.norm\.", r"\1.norm."),
        rules=(
            *_one_output(config, r"attn\.to_out", "linear2", "linear2"),
            *_both(rf"{_SINGLE}\.attn\.to_([qk])", r"\1.\2_proj", turned),
            *_both(rf"{_SINGLE}\.attn\.to_v", r"\1.v_mlp", rows=(0, width)),
            *_both(rf"{_SINGLE}\.proj_mlp", r"\1.v_mlp", rows=of_v_mlp),
            *_both(r"attn\.to_([qk])", r"attn.\1_proj", turned),
            *_both(r"attn\.to_v", r"attn.v_proj"),
            Rule(pattern=r"_norm\.scale$", key=r"\g<0>", layout=turned),
            _packed(config, "img_in", config.latent_channels),
            _packed(config, "cond_in", config.given_channels),
        ),
    )
