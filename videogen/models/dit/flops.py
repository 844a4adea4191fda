"""DiT's arithmetic: matrix products only, 2 FLOPs per multiply-add, one sample."""

from videogen.models.dit.config import DiTConfig
from videogen.nn.patch import token_grid


def forward_flops(
    config: DiTConfig, latent: tuple[int, int, int, int], text_length: int = 0
) -> int:
    """FLOPs of one forward pass of one sample of shape (F, H, W, C); text is ignored.

    A query attends all tokens; in a factorised network those of its frame in half of the
    blocks, and one of each frame in the other half.
    """
    f, h, w = token_grid(latent[:3], config.patch)
    n, d, m = f * h * w, config.width, config.mlp_width
    keys = (h * w + f) / 2 if config.factorised else n
    block = n * (4 * d * d + 2 * d * m) + 6 * d * d
    attention = int(config.depth * keys) * n * 2 * d
    patches = n * (config.token_dim + config.out_dim) * d
    conditions = config.freq_dim * d + d * d + 2 * d * d
    return 2 * (config.depth * block + attention + patches + conditions)
