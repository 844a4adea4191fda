"""MAGI-1's arithmetic: matrix products only, 2 FLOPs per multiply-add, one sample."""

from videogen.models.magi.config import MagiConfig
from videogen.nn.patch import token_grid

LatentShape = tuple[int, int, int, int]  # (F, H, W, C)


def forward_flops(config: MagiConfig, latent: LatentShape, text_length: int) -> int:
    """FLOPs of one forward pass of one sample; a training step takes 3 times as many.

    Of attention, the pairs that the chunks allow; one time for the whole sample.
    """
    d = config.width
    attention = (
        4 * d * (num_pairs(config, latent) + _num_tokens(config, latent) * text_length)
    )
    per_block = _linear_flops(config, latent, text_length) + attention
    return config.depth * per_block + _embedding_flops(config, latent, text_length)


def num_pairs(config: MagiConfig, latent: LatentShape) -> int:
    """(query, key) pairs of tokens that attend each other."""
    frames, rows, columns = token_grid(latent[:3], config.patch)
    chunk = config.chunk // config.patch[0] or frames
    ends = [min(start + chunk, frames) for start in range(0, frames, chunk)]
    pairs = sum(
        (end - start) * end for start, end in zip([0, *ends], ends, strict=False)
    )
    return pairs * (rows * columns) ** 2


def _linear_flops(config: MagiConfig, latent: LatentShape, text_length: int) -> int:
    """One block's linear layers."""
    d, m = config.width, config.mlp_width
    kv = 2 * config.num_kv_heads * config.head_dim
    matrices = 3 if config.mlp == "swiglu" else 2
    per_token = 2 * d * d + d * kv + 2 * d * d + matrices * d * m
    per_sample = config.condition_dim * 2 * d
    tokens = _num_tokens(config, latent) * per_token
    return 2 * (tokens + text_length * d * kv + per_sample)


def _embedding_flops(config: MagiConfig, latent: LatentShape, text_length: int) -> int:
    """Outside the blocks: patches in and out, time, text."""
    d, c = config.width, config.condition_dim
    patch = config.token_dim * config.latent_copies
    patches = _num_tokens(config, latent) * 2 * patch * d
    time = config.freq_dim * c + c * c
    text = text_length * config.text_dim * d + config.text_dim * c
    return 2 * (patches + time + text)


def _num_tokens(config: MagiConfig, latent: LatentShape) -> int:
    f, h, w = token_grid(latent[:3], config.patch)
    return f * h * w
