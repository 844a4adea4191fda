"""What released checkpoints call our parameters."""

from videogen.models.cogvideox.config import CogVideoXConfig
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


def _patches(config: CogVideoXConfig) -> Layout:
    """A convolution over one frame's patches; where they have more frames, a linear layer."""
    channels = config.latent_channels + config.given_channels
    if config.patch[0] == 1:
        return patch_conv(channels, config.patch[1:])
    return channels_first(channels, config.patch).then(LINEAR)
