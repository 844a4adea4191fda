"""Cosmos: NVIDIA's video DiTs with adaLN-LoRA."""

import dataclasses

from videogen.core.errors import ConfigError
from videogen.models.checks import Transformer, check_transformer


@dataclasses.dataclass(frozen=True, kw_only=True)
class CosmosConfig(Transformer):
    """Self-attention, cross-attention to text and MLP, each modulated and gated; no biases.

    given_channels: of `given_BFHWC`: a mask of given frames (Video2World), then a mask of
        padding, concatenated to the noisy latent; without `given_BFHWC` both are zeros.
    text_proj_dim: the text comes to cross-attention through a linear layer of this width
        and a GELU; 0: as it is.
    freq_dim: sinusoids of the diffusion time, which are the modulation's condition; the
        released models have as many as the width.
    lora_rank: of the modulation's part that each branch of each block has for itself.
    position_sizes: the most (frames, rows, columns) of tokens, of learned positions that
        are normed and added to the input of every block (Predict1); zeros: none.
    rope_ntk: how much slower the slowest pair of (frame, row, column) turns.
    base_fps: frames turn as fast as at this rate, whatever the video's `fps_B`; 0: frame
        numbers count, not seconds.
    """

    latent_channels: int = 16
    given_channels: int = 0
    patch: tuple[int, int, int] = (1, 2, 2)  # (frames, rows, columns) of one token
    width: int
    depth: int
    num_heads: int
    mlp_width: int
    text_dim: int
    text_proj_dim: int = 0
    freq_dim: int
    lora_rank: int = 256
    qk_eps: float = 1e-6
    position_sizes: tuple[int, int, int] = (0, 0, 0)
    rope_theta: float = 1e4
    rope_ntk: tuple[float, float, float] = (1.0, 1.0, 1.0)
    base_fps: float = 0.0
    mask_text: bool = True  # the released models attend the zeros that pad the text
    remat: str = "none"  # a name in nn.stack.REMAT
    attention: str | None = None  # an implementation of ops.attention
    dtype: str = "float32"  # of the blocks' computation; parameters are float32

    def __post_init__(self) -> None:
        check_transformer(self)
        for field in ("text_dim", "lora_rank"):
            if getattr(self, field) < 1:
                raise ConfigError(
                    f"model.{field}={getattr(self, field)} must be at least 1"
                )
        if max(self.position_sizes) > 0 and min(self.position_sizes) < 1:
            raise ConfigError(
                f"model.position_sizes={self.position_sizes}: the most (frames, rows, "
                "columns) of tokens, each at least 1, or (0, 0, 0) for none"
            )

    @property
    def marks_given(self) -> bool:
        """Whether a channel of its own says which frames are given, clean in the latent."""
        return self.given_channels > 1

    @property
    def has_positions(self) -> bool:
        """Whether learned positions are added at every block."""
        return max(self.position_sizes) > 0

    @property
    def kv_dim(self) -> int:
        """Width of the text in cross-attention."""
        return self.text_proj_dim or self.text_dim
