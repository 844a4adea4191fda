"""MM-DiT's arithmetic: matrix products only, 2 FLOPs per multiply-add, one sample.

Text tokens are taken as shared evenly by the text encoders. An image's tokens are not
counted: no config says how many there are.
"""

from videogen.models.joint.config import JointConfig
from videogen.nn.patch import token_grid

LatentShape = tuple[int, int, int, int]  # (F, H, W, C)


def forward_flops(config: JointConfig, latent: LatentShape, text_length: int) -> int:
    """FLOPs of one forward pass of one sample; a training step takes 3 times as many."""
    return (
        linear_flops(config, latent, text_length)
        + attention_flops(config, latent, text_length)
        + embedding_flops(config, latent, text_length)
    )


def linear_flops(config: JointConfig, latent: LatentShape, text_length: int) -> int:
    """The blocks' linear layers: 4 D^2 + 2 D M per token of video or text, in every block.

    But for what a last block of two streams makes of the text: nothing reads it.
    """
    d, tokens = config.width, num_tokens(config, latent) + text_length
    unread = (
        0 if config.single_depth else text_length * (_per_token(config) - 3 * d * d)
    )
    return 2 * (_num_blocks(config) * tokens * _per_token(config) - unread)


def attention_flops(config: JointConfig, latent: LatentShape, text_length: int) -> int:
    """q k^T and p v, of all tokens to all."""
    tokens = num_tokens(config, latent) + text_length
    return 4 * _num_blocks(config) * tokens**2 * config.width


def embedding_flops(config: JointConfig, latent: LatentShape, text_length: int) -> int:
    """Outside the tokens' way through the blocks: patches, modulation, conditions."""
    d = config.width
    patches = num_tokens(config, latent) * (2 * config.token_dim + config.given_dim) * d
    modulation = (12 * config.depth + 3 * config.single_depth + 2) * d * d
    if config.clean_first_frame:
        modulation += (6 * config.depth + 3 * config.single_depth) * d * d
    one_mlp = config.freq_dim * d + d * d
    vector = one_mlp * (1 + config.guidance + config.clean_first_frame)
    if config.pooled_dim:
        vector += config.pooled_dim * d + d * d
    length, inner = text_length // (1 + len(config.more_texts)), config.more_text_width
    text = length * config.text_dim * d
    if config.text_projection == "refiner":
        text += one_mlp + config.text_dim * d + d * d
        block = length * _per_token(config) + 2 * d * d + 2 * length**2 * d
        text += config.refiner_depth * block
    for _, dim in config.more_texts:
        text += length * (dim * inner + inner * inner + inner * d)
    return 2 * (patches + modulation + vector + text)


def num_tokens(config: JointConfig, latent: LatentShape) -> int:
    """Of video."""
    f, h, w = token_grid(latent[:3], config.patch)
    return f * h * w


def _num_blocks(config: JointConfig) -> int:
    return config.depth + config.single_depth


def _per_token(config: JointConfig) -> int:
    return 4 * config.width**2 + 2 * config.width * config.mlp_width
