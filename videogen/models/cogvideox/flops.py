"""CogVideoX's arithmetic: matrix products only, 2 FLOPs per multiply-add, one sample."""

from videogen.models.cogvideox.config import CogVideoXConfig
from videogen.nn.patch import token_grid

LatentShape = tuple[int, int, int, int]  # (F, H, W, C)


def forward_flops(
    config: CogVideoXConfig, latent: LatentShape, text_length: int
) -> int:
    """FLOPs of one forward pass of one sample; a training step takes 3 times as many."""
    return (
        linear_flops(config, latent, text_length)
        + attention_flops(config, latent, text_length)
        + embedding_flops(config, latent, text_length)
    )


def linear_flops(config: CogVideoXConfig, latent: LatentShape, text_length: int) -> int:
    """The blocks' linear layers: 4 D^2 + 2 D M per token of video and text; modulation."""
    d, m = config.width, config.mlp_width
    tokens = num_tokens(config, latent) + text_length
    per_block = tokens * (4 * d * d + 2 * d * m) + 2 * config.time_dim * 6 * d
    return 2 * config.depth * per_block


def attention_flops(
    config: CogVideoXConfig, latent: LatentShape, text_length: int
) -> int:
    """q k^T and p v, of all tokens to all."""
    tokens = num_tokens(config, latent) + text_length
    return 4 * config.depth * tokens * tokens * config.width


def embedding_flops(
    config: CogVideoXConfig, latent: LatentShape, text_length: int
) -> int:
    """Outside the blocks: patches in and out, time, text."""
    d, time_dim = config.width, config.time_dim
    patch_dim = 2 * config.token_dim + config.given_dim
    patches = num_tokens(config, latent) * patch_dim * d
    time = (config.freq_dim + time_dim) * time_dim + 2 * time_dim * d
    if config.offset is not None:
        time += 2 * time_dim * time_dim
    return 2 * (patches + time + text_length * config.text_dim * d)


def num_tokens(config: CogVideoXConfig, latent: LatentShape) -> int:
    f, h, w = token_grid(latent[:3], config.patch)
    return f * h * w
