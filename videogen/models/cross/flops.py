"""Wan's arithmetic: matrix products only, 2 FLOPs per multiply-add, one sample.

Text tokens are taken as shared evenly by the text encoders. An image's tokens (Wan I2V) are
not counted: no config says how many there are.
"""

from videogen.models.cross.config import CrossConfig
from videogen.nn.patch import token_grid

LatentShape = tuple[int, int, int, int]  # (F, H, W, C)


def forward_flops(config: CrossConfig, latent: LatentShape, text_length: int) -> int:
    """FLOPs of one forward pass of one sample; a training step takes 3 times as many."""
    return (
        linear_flops(config, latent, text_length)
        + attention_flops(config, latent, text_length)
        + embedding_flops(config, latent, text_length)
    )


def linear_flops(config: CrossConfig, latent: LatentShape, text_length: int) -> int:
    """The blocks' linear layers: 6 D^2 + 2 D M (SwiGLU: 3) a token, 2 D^2 a text token."""
    d, m = config.width, config.mlp_width
    products = 3 if config.mlp == "swiglu" else 2
    per_block = num_tokens(config, latent) * (6 * d * d + products * d * m)
    per_block += text_length * 2 * d * d
    return 2 * config.depth * per_block


def attention_flops(config: CrossConfig, latent: LatentShape, text_length: int) -> int:
    """q k^T and p v, to all tokens and to the text."""
    n = num_tokens(config, latent)
    return 4 * config.depth * n * (n + text_length) * config.width


def embedding_flops(config: CrossConfig, latent: LatentShape, text_length: int) -> int:
    """Patches in and out, time and what it modulates, text."""
    d = config.width
    patches = num_tokens(config, latent) * (2 * config.token_dim + config.given_dim) * d
    modulations = config.depth if config.modulation == "own" else 1
    time = config.freq_dim * d + (1 + 6 * modulations) * d * d
    kinds = [(config.text_dim, config.text_projection)]
    kinds += [(dim, config.more_text_projection) for _, dim in config.more_texts]
    deep = ("mlp", "norm_mlp")  # of two layers
    per_text = sum(dim * d + (d * d if kind in deep else 0) for dim, kind in kinds)
    return 2 * (patches + time + text_length * per_text // len(kinds))


def num_tokens(config: CrossConfig, latent: LatentShape) -> int:
    f, h, w = token_grid(latent[:3], config.patch)
    return f * h * w
