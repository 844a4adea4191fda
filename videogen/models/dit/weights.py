"""What released checkpoints call our parameters, and diffusers our sizes."""

from collections.abc import Iterable
from typing import Any

from videogen.models.diffusers import config_json, trunk
from videogen.models.dit.config import DiTConfig
from videogen.models.weights import (
    LINEAR,
    SAME,
    Rule,
    WeightTable,
    patch_conv,
)


def native(config: DiTConfig) -> WeightTable:
    """The authors' own: models.py of facebookresearch/DiT and willisma/SiT, Latte's latte.py.

    attn.qkv holds the rows of to_q, to_k and to_v. Latte's blocks stand in our order.
    """
    width = config.width
    fused = [
        Rule(
            pattern=rf"attn1\.to_{name}\.{ours}$",
            key=f"attn.qkv.{theirs}",
            layout=layout,
            rows=(place * width, (place + 1) * width),
        )
        for place, name in enumerate("qkv")
        for ours, theirs, layout in (
            ("kernel", "weight", LINEAR),
            ("bias", "bias", SAME),
        )
    ]
    return WeightTable(
        stacks={"blocks": "blocks.{}"},
        renames=(
            (r"\.norm1\.linear\.", ".adaLN_modulation.1."),
            (r"\.attn1\.to_out\.", ".attn.proj."),
            (r"\.ff\.up\.", ".mlp.fc1."),
            (r"\.ff\.down\.", ".mlp.fc2."),
            (r"^patch_embedding", "x_embedder.proj"),
            (r"^time_embedder\.linear_1", "t_embedder.mlp.0"),
            (r"^time_embedder\.linear_2", "t_embedder.mlp.2"),
            (r"^class_embedder\.embedding_table", "y_embedder.embedding_table.weight"),
            (r"^norm_out\.linear", "final_layer.adaLN_modulation.1"),
            (r"^proj_out", "final_layer.linear"),
        ),
        rules=(_patches(config, r"(?<=^x_embedder\.proj)\.kernel"), *fused),
        ignored=r"^(pos|temp)_embed$",
    )


def diffusers(config: DiTConfig) -> WeightTable:
    """diffusers.DiTTransformer2DModel, where every block has the embedders of time and class.

    Its code takes other sinusoids of time, and another eps in norm3, than the authors', whose
    weights it holds; we take the authors'.
    """
    embedders = "transformer_blocks.0.norm1.emb."

    def copies(key: str) -> Iterable[str]:
        if not key.startswith(embedders):
            return (key,)
        blocks = range(config.depth)
        return [key.replace(".0.", f".{block}.", 1) for block in blocks]

    return WeightTable(
        stacks={"blocks": "transformer_blocks.{}"},
        renames=(
            (r"\.to_out\.", ".to_out.0."),
            (r"\.ff\.up\.", ".ff.net.0.proj."),
            (r"\.ff\.down\.", ".ff.net.2."),
            (r"^patch_embedding", "pos_embed.proj"),
            (r"^time_embedder", embedders + "timestep_embedder"),
            (r"^class_embedder\.(.*)", rf"{embedders}class_embedder.\1.weight"),
            (r"^norm_out\.linear", "proj_out_1"),
            (r"^proj_out(?!_)", "proj_out_2"),
        ),
        rules=(_patches(config, r"(?<=^pos_embed\.proj)\.kernel"),),
        copies=copies,
    )


def diffusers_config(config: DiTConfig, size: int) -> dict[str, Any]:
    """config.json of diffusers.DiTTransformer2DModel, for images of size x size latents."""
    fixed = {"factorised": False, "position": "sincos_2d", "freq_dim": 256}
    return config_json(
        "DiTTransformer2DModel",
        config,
        fixed | {"mlp_width": 4 * config.width},
        **trunk(config),
        in_channels=config.latent_channels,
        out_channels=config.out_channels or config.latent_channels,
        sample_size=size,
        patch_size=config.patch[1],
        num_embeds_ada_norm=config.num_classes,
        norm_eps=1e-6,
    )


def _patches(config: DiTConfig, pattern: str) -> Rule:
    """The patch embedding, a strided convolution over one frame of theirs."""
    layout = patch_conv(config.latent_channels, config.patch[1:])
    return Rule(pattern=pattern, key=".weight", layout=layout)
