"""The family's arithmetic: matrix products only, 2 FLOPs per multiply-add, one sample."""

from videogen.models.factorised.config import FactorisedConfig
from videogen.nn.groups import GROUPS, Fold
from videogen.nn.patch import token_grid

LatentShape = tuple[int, int, int, int]  # (F, H, W, C)


def forward_flops(
    config: FactorisedConfig, latent: LatentShape, text_length: int
) -> int:
    """FLOPs of one forward pass of one sample; a training step takes 3 times as many."""
    return (
        linear_flops(config, latent, text_length)
        + attention_flops(config, latent, text_length)
        + embedding_flops(config, latent, text_length)
    )


def linear_flops(
    config: FactorisedConfig, latent: LatentShape, text_length: int
) -> int:
    """Blocks' linear layers: 4 D^2 + 2 D M per token; with text 2 D^2 per token of each."""
    d, m, n = config.width, config.mlp_width, num_tokens(config, latent)
    blocks = 2 * config.depth * n * (4 * d * d + 2 * d * m)
    return 2 * (blocks + _readers(config) * 2 * d * d * (n + text_length))


def attention_flops(
    config: FactorisedConfig, latent: LatentShape, text_length: int
) -> int:
    """q k^T and p v: within groups, and to the text."""
    grid, n = token_grid(latent[:3], config.patch), num_tokens(config, latent)
    pairs = 2 * config.full_pairs * 2 * n * n
    for name in config.groups:
        stride, count = GROUPS[name](*grid, config.skip)
        size = Fold(stride=stride, count=count).size(n)
        pairs += (config.depth - 2 * config.full_pairs) * count * size * size
    return 4 * (pairs + _readers(config) * n * text_length) * config.width


def embedding_flops(
    config: FactorisedConfig, latent: LatentShape, text_length: int
) -> int:
    """Outside the blocks: patches in and out, time, frames per second, text."""
    d = config.width
    patches = num_tokens(config, latent) * (config.token_dim + config.out_dim) * d
    time = config.freq_dim * d + 7 * d * d
    fps = (config.freq_dim * d + d * d) if config.embeds_fps else 0
    text = text_length * (config.text_dim * d + d * d)
    return 2 * (patches + time + fps + text)


def num_tokens(config: FactorisedConfig, latent: LatentShape) -> int:
    f, h, w = token_grid(latent[:3], config.patch)
    return f * h * w


def _readers(config: FactorisedConfig) -> int:
    """Blocks that read the text."""
    return config.depth * (2 if config.text_in_second else 1)
