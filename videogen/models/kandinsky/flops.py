"""Kandinsky's arithmetic: matrix products only, 2 FLOPs per multiply-add, one sample."""

from videogen.models.kandinsky.config import KandinskyConfig
from videogen.nn.patch import token_grid

LatentShape = tuple[int, int, int, int]  # (F, H, W, C)


def forward_flops(
    config: KandinskyConfig, latent: LatentShape, text_length: int
) -> int:
    """FLOPs of one forward pass of one sample, attention in full; training takes 3 times."""
    return (
        linear_flops(config, latent, text_length)
        + attention_flops(config, latent, text_length)
        + text_flops(config, text_length)
        + embedding_flops(config, latent, text_length)
    )


def linear_flops(config: KandinskyConfig, latent: LatentShape, text_length: int) -> int:
    """The blocks' linear layers: 6 D^2 + 2 D M per token, 2 D^2 per text token."""
    d, m = config.width, config.mlp_width
    per_block = num_tokens(config, latent) * (6 * d * d + 2 * d * m)
    per_block += text_length * 2 * d * d + 9 * config.time_dim * d
    return 2 * config.depth * per_block


def attention_flops(
    config: KandinskyConfig, latent: LatentShape, text_length: int
) -> int:
    """q k^T and p v, to all tokens and to the text."""
    n = num_tokens(config, latent)
    return 4 * config.depth * n * (n + text_length) * config.width


def text_flops(config: KandinskyConfig, text_length: int) -> int:
    """The blocks that refine the text."""
    d, m = config.width, config.mlp_width
    per_block = text_length * (4 * d * d + 2 * d * m) + 6 * config.time_dim * d
    per_block += 2 * text_length**2 * d
    return 2 * config.text_depth * per_block


def embedding_flops(
    config: KandinskyConfig, latent: LatentShape, text_length: int
) -> int:
    """Outside the blocks: patches in and out, time, text."""
    d, time_dim = config.width, config.time_dim
    patches = num_tokens(config, latent) * (2 * config.token_dim + config.given_dim) * d
    time = (config.freq_dim + time_dim + config.pooled_dim + 2 * d) * time_dim
    return 2 * (patches + time + text_length * config.text_dim * d)


def num_tokens(config: KandinskyConfig, latent: LatentShape) -> int:
    f, h, w = token_grid(latent[:3], config.patch)
    return f * h * w
