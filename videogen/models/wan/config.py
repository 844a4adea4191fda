"""Wan (arXiv 2503.20314): sizes of the family, and the published ones."""

import dataclasses
import math
from typing import Any

from videogen.models.checks import check_transformer


@dataclasses.dataclass(frozen=True, kw_only=True)
class WanConfig:
    """A single-stream video DiT: self-attention, cross-attention to text, MLP."""

    latent_channels: int = 16
    patch: tuple[int, int, int] = (1, 2, 2)  # (frames, rows, columns) of one token
    width: int
    depth: int
    num_heads: int
    mlp_width: int
    text_dim: int
    freq_dim: int = 256  # sinusoids of the diffusion time
    rope_theta: float = 1e4
    mask_text: bool = True  # released Wan attends the padding of its 512 text tokens
    remat: str = "none"  # a name in nn.stack.REMAT
    attention: str | None = None  # an implementation of ops.attention
    dtype: str = "float32"  # of the blocks' computation; parameters are float32

    def __post_init__(self) -> None:
        check_transformer(self)

    @property
    def head_dim(self) -> int:
        return self.width // self.num_heads

    @property
    def token_dim(self) -> int:
        """Numbers in one token's patch of the latent."""
        return math.prod(self.patch) * self.latent_channels


def wan2_1_t2v_1_3b(**changes: Any) -> WanConfig:
    """Wan2.1-T2V-1.3B: 1,418,996,800 parameters. umT5-XXL's 512 tokens, padding attended."""
    config = WanConfig(
        width=1536,
        depth=30,
        num_heads=12,
        mlp_width=8960,
        text_dim=4096,
        mask_text=False,
    )
    return dataclasses.replace(config, **changes)


def wan2_1_t2v_14b(**changes: Any) -> WanConfig:
    """Wan2.1-T2V-14B, and each of Wan2.2-T2V-A14B's two: 14,288,491,584 parameters."""
    sizes = {"width": 5120, "depth": 40, "num_heads": 40, "mlp_width": 13824}
    return wan2_1_t2v_1_3b(**(sizes | changes))
