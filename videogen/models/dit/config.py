"""DiT (arXiv 2212.09748), on video latents: sizes of the family, and a published one."""

import dataclasses
import math
from typing import Any

from videogen.core.errors import ConfigError
from videogen.models.checks import check_transformer


@dataclasses.dataclass(frozen=True, kw_only=True)
class DiTConfig:
    """A class-conditional or unconditional DiT: self-attention and MLP, adaLN-zero."""

    latent_channels: int = 16
    patch: tuple[int, int, int] = (1, 2, 2)  # (frames, rows, columns) of one token
    width: int
    depth: int
    num_heads: int
    mlp_width: int
    num_classes: int = 0  # 0: unconditional
    freq_dim: int = 256  # sinusoids of the diffusion time
    remat: str = "none"  # a name in nn.stack.REMAT
    attention: str | None = None  # an implementation of ops.attention
    dtype: str = "float32"  # of the blocks' computation; parameters are float32

    def __post_init__(self) -> None:
        check_transformer(self)
        if self.num_classes < 0:
            raise ConfigError(f"model.num_classes={self.num_classes}: at least 0")

    @property
    def token_dim(self) -> int:
        """Numbers in one token's patch of the latent."""
        return math.prod(self.patch) * self.latent_channels


def dit_xl_2(**changes: Any) -> DiTConfig:
    """DiT-XL/2's trunk on 4-channel ImageNet latents; predicts no variance."""
    config = DiTConfig(
        latent_channels=4,
        width=1152,
        depth=28,
        num_heads=16,
        mlp_width=4608,
        num_classes=1000,
    )
    return dataclasses.replace(config, **changes)
