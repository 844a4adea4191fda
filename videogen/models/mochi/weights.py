"""What released checkpoints call our parameters."""

from videogen.models.mochi.config import MochiConfig
from videogen.models.weights import LINEAR, Layout, Rule, WeightTable, patch_conv

# They predict data - noise.
NEGATED = Layout(ours=lambda x: -x, theirs=lambda x: -x)


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
            *_swiglu(r"\.ff", config.mlp_width),
            *_swiglu(r"\.ff_context", config.text_mlp_width),
            Rule(pattern=r"\.down\.kernel", key=".net.2.weight", layout=LINEAR),
            Rule(
                pattern=r"(?<=^patch_embed\.proj)\.kernel",
                key=".weight",
                layout=patch_conv(config.latent_channels, config.patch[1:]),
            ),
            Rule(
                pattern=r"(?<=^proj_out)\.kernel",
                key=".weight",
                layout=LINEAR.then(NEGATED),
            ),
            Rule(pattern=r"^proj_out\.bias", key=r"\g<0>", layout=NEGATED),
        ),
    )


def _swiglu(prefix: str, width: int) -> tuple[Rule, ...]:
    """One tensor of theirs: up, then gate."""
    return tuple(
        Rule(
            pattern=rf"({prefix})\.{name}\.kernel",
            key=r"\1.net.0.proj.weight",
            layout=LINEAR,
            rows=rows,
        )
        for name, rows in (("up", (0, width)), ("gate", (width, 2 * width)))
    )
