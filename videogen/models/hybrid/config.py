"""Seaweed-7B (arXiv 2504.08685): two streams that share their MLP in the deeper blocks."""

import dataclasses

from videogen.core.errors import ConfigError, suggest
from videogen.models.checks import Transformer, check_transformer
from videogen.nn.mlp import MLPS


@dataclasses.dataclass(frozen=True, kw_only=True)
class HybridConfig(Transformer):
    """An MM-DiT whose streams, video and text, have attention weights of their own.

    depth: blocks in which each stream has an MLP of its own; they come first.
    shared_depth: blocks after them, in which both streams use one MLP.
    rope_split: a head's dims for (frame, row, column); None: Wan's rule.
    """

    latent_channels: int = 16
    patch: tuple[int, int, int] = (1, 1, 1)  # (frames, rows, columns) of one token
    width: int
    depth: int
    shared_depth: int
    num_heads: int
    mlp_width: int
    mlp: str = "swiglu"
    bias: bool = False  # of the attentions
    mlp_bias: bool = False
    text_dim: int
    freq_dim: int = 256  # sinusoids of the diffusion time
    rope_split: tuple[int, int, int] | None = None
    rope_theta: float = 1e4
    remat: str = "none"  # a name in nn.stack.REMAT
    attention: str | None = None  # an implementation of ops.attention
    dtype: str = "float32"  # of the blocks' computation; parameters are float32

    def __post_init__(self) -> None:
        check_transformer(self)
        for field in ("shared_depth", "text_dim"):
            if getattr(self, field) < 1:
                raise ConfigError(f"model.{field}={getattr(self, field)}: at least 1")
        if self.mlp not in MLPS:
            raise ConfigError(f"model.mlp={self.mlp!r}{suggest(self.mlp, MLPS)}")
