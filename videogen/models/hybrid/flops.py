"""Seaweed's arithmetic: matrix products only, 2 FLOPs per multiply-add, one sample."""

import math

from videogen.models.hybrid.config import HybridConfig
from videogen.nn.patch import token_grid

LatentShape = tuple[int, int, int, int]  # (F, H, W, C)


def forward_flops(config: HybridConfig, latent: LatentShape, text_length: int) -> int:
    """FLOPs of one forward pass of one sample; a training step takes 3 times as many.

    A block does the same work whether its streams share their MLP or not. What the last
    block makes of the text is not counted: nothing reads it.
    """
    d, matrices = config.width, 3 if config.mlp == "swiglu" else 2
    num_video = math.prod(token_grid(latent[:3], config.patch))
    num_tokens = num_video + text_length
    mlp = matrices * d * config.mlp_width
    block = num_tokens * (4 * d * d + mlp) + 2 * num_tokens**2 * d
    blocks = (config.depth + config.shared_depth) * block
    unread = text_length * (d * d + mlp)
    patches = num_video * 2 * config.token_dim * d
    time = config.freq_dim * d + 7 * d * d
    text = text_length * (config.text_dim * d + d * d)
    return 2 * (blocks - unread + patches + time + text)
