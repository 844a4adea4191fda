"""Mochi's arithmetic: matrix products only, 2 FLOPs per multiply-add, one sample."""

from videogen.models.mochi.config import MochiConfig
from videogen.nn.patch import token_grid

LatentShape = tuple[int, int, int, int]  # (F, H, W, C)


def forward_flops(config: MochiConfig, latent: LatentShape, text_length: int) -> int:
    """FLOPs of one forward pass of one sample; a training step takes 3 times as many."""
    return (
        linear_flops(config, latent, text_length)
        + attention_flops(config, latent, text_length)
        + embedding_flops(config, latent, text_length)
    )


def linear_flops(config: MochiConfig, latent: LatentShape, text_length: int) -> int:
    """The blocks' linear layers; the last one's text has no output and no MLP."""
    d, m = config.width, config.mlp_width
    e, f = config.text_width, config.text_mlp_width
    video = num_tokens(config, latent) * (4 * d * d + 3 * d * m) + 4 * d * d
    text = text_length * 3 * d * e + d * e
    more_text = text_length * (d * e + 3 * e * f) + 3 * d * e
    return 2 * (config.depth * (video + text) + (config.depth - 1) * more_text)


def attention_flops(config: MochiConfig, latent: LatentShape, text_length: int) -> int:
    """q k^T and p v, of all tokens to all."""
    tokens = num_tokens(config, latent) + text_length
    return 4 * config.depth * tokens * tokens * config.width


def embedding_flops(config: MochiConfig, latent: LatentShape, text_length: int) -> int:
    """Outside the blocks: patches in and out, time, text and its pool."""
    d, x = config.width, config.text_dim
    patches = num_tokens(config, latent) * 2 * config.token_dim * d
    time = config.freq_dim * d + d * d + 2 * d * d
    pool = (text_length + 1) * (2 * x * x + 2 * x) + x * x + x * d
    return 2 * (patches + time + pool + text_length * x * config.text_width)


def num_tokens(config: MochiConfig, latent: LatentShape) -> int:
    f, h, w = token_grid(latent[:3], config.patch)
    return f * h * w
