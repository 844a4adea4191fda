"""DiT's arithmetic: matrix products only, 2 FLOPs per multiply-add, one sample."""

from videogen.models.dit.config import DiTConfig
from videogen.nn.patch import token_grid


def forward_flops(
    config: DiTConfig, latent: tuple[int, int, int, int], text_length: int = 0
) -> int:
    """FLOPs of one forward pass of one sample of shape (F, H, W, C); text is ignored."""
    f, h, w = token_grid(latent[:3], config.patch)
    n, d, m = f * h * w, config.width, config.mlp_width
    block = n * (4 * d * d + 2 * d * m) + 2 * n * n * d + 6 * d * d
    patches = n * 2 * config.token_dim * d
    conditions = config.freq_dim * d + d * d + 2 * d * d
    return 2 * (config.depth * block + patches + conditions)
