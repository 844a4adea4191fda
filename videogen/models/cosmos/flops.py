"""Cosmos's arithmetic: matrix products only, 2 FLOPs per multiply-add, one sample."""

from videogen.models.cosmos.config import CosmosConfig
from videogen.nn.patch import token_grid

LatentShape = tuple[int, int, int, int]  # (F, H, W, C)


def forward_flops(config: CosmosConfig, latent: LatentShape, text_length: int) -> int:
    """FLOPs of one forward pass of one sample; a training step takes 3 times as many."""
    return (
        linear_flops(config, latent, text_length)
        + attention_flops(config, latent, text_length)
        + modulation_flops(config)
        + embedding_flops(config, latent, text_length)
    )


def linear_flops(config: CosmosConfig, latent: LatentShape, text_length: int) -> int:
    """The blocks' layers of tokens: 6 D^2 + 2 D M per token, 2 D Y per text token."""
    d, m = config.width, config.mlp_width
    per_block = num_tokens(config, latent) * (6 * d * d + 2 * d * m)
    per_block += text_length * 2 * d * config.kv_dim
    return 2 * config.depth * per_block


def attention_flops(config: CosmosConfig, latent: LatentShape, text_length: int) -> int:
    """q k^T and p v, to all tokens and to the text."""
    n = num_tokens(config, latent)
    return 4 * config.depth * n * (n + text_length) * config.width


def modulation_flops(config: CosmosConfig) -> int:
    """Of a sample with one time."""
    d, s, r = config.width, config.freq_dim, config.lora_rank
    blocks = config.depth * 3 * (s * r + 3 * r * d)
    return 2 * (blocks + s * r + 2 * r * d + s * d + 3 * d * d)


def embedding_flops(config: CosmosConfig, latent: LatentShape, text_length: int) -> int:
    """Outside the blocks: patches in and out, text."""
    patch_dims = 2 * config.token_dim + config.given_dim
    patches = num_tokens(config, latent) * patch_dims * config.width
    text = text_length * config.text_dim * config.text_proj_dim
    return 2 * (patches + text)


def num_tokens(config: CosmosConfig, latent: LatentShape) -> int:
    f, h, w = token_grid(latent[:3], config.patch)
    return f * h * w
