"""DiT, SiT and Latte: transformers that are told the time and a class, or the time alone."""

import dataclasses
import math

from videogen.core.errors import ConfigError, suggest
from videogen.models.checks import Transformer, check_transformer

POSITIONS = ("sincos", "sincos_2d")


@dataclasses.dataclass(frozen=True, kw_only=True)
class DiTConfig(Transformer):
    """A class-conditional or unconditional DiT: self-attention and MLP, adaLN-zero.

    out_channels: that are predicted; None: latent_channels. Twice as many hold a variance
        after the prediction (arXiv 2102.09672), which SiT has and does not use.
    factorised: even blocks attend within a frame, odd ones across frames (Latte).
    position: "sincos", of frame, row and column; "sincos_2d" (DiT), of column and row, and
        if factorised of the frame, before the first block that attends across frames.
    """

    latent_channels: int = 16
    out_channels: int | None = None
    patch: tuple[int, int, int] = (1, 2, 2)  # (frames, rows, columns) of one token
    width: int
    depth: int
    num_heads: int
    mlp_width: int
    num_classes: int = 0  # 0: unconditional
    factorised: bool = False
    position: str = "sincos"
    freq_dim: int = 256  # sinusoids of the diffusion time
    remat: str = "none"  # a name in nn.stack.REMAT
    attention: str | None = None  # an implementation of ops.attention
    dtype: str = "float32"  # of the blocks' computation; parameters are float32

    def __post_init__(self) -> None:
        check_transformer(self)
        if self.num_classes < 0:
            raise ConfigError(f"model.num_classes={self.num_classes}: at least 0")
        if self.position not in POSITIONS:
            hint = suggest(self.position, POSITIONS)
            raise ConfigError(f"model.position={self.position!r}{hint}")
        if self.out_channels is not None and self.out_channels < 1:
            raise ConfigError(f"model.out_channels={self.out_channels}: at least 1")
        if self.factorised and self.depth % 2:
            raise ConfigError(
                f"model.depth={self.depth} must be even with model.factorised: blocks come "
                f"in pairs; {self.depth + 1} would work"
            )
        if self.position == "sincos_2d" and self.width % 4:
            raise ConfigError(
                f"model.width={self.width} must divide by 4 for model.position="
                f"'sincos_2d'; {self.width + 2} would work"
            )

    @property
    def out_dim(self) -> int:
        """Numbers that are predicted for one token."""
        return math.prod(self.patch) * (self.out_channels or self.latent_channels)
