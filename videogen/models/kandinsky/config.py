"""Kandinsky 5: Video Lite and Pro, Image Lite."""

import dataclasses

from videogen.core.errors import ConfigError
from videogen.models.checks import Transformer, check_transformer


@dataclasses.dataclass(frozen=True, kw_only=True)
class KandinskyConfig(Transformer):
    """Self-attention, cross-attention to refined text and MLP, each modulated and gated.

    given_channels: of `given_BFHWC`: the latent of the given frames, then a mask of them;
        concatenated to the noisy latent; without `given_BFHWC` zeros.
    depth, text_depth: blocks of video, and those that refine the text before them.
    time_dim: of the vector of time and caption that every block's modulation reads.
    pooled_dim: of `pooled_BX`, one vector of the whole caption (CLIP's).
    rope_split: a head's dims for (frame, row, column); None: a quarter for frames.
    rope_scale: what coordinates are multiplied with.
    """

    latent_channels: int = 16
    given_channels: int = 0
    patch: tuple[int, int, int] = (1, 2, 2)  # (frames, rows, columns) of one token
    width: int
    depth: int
    text_depth: int
    num_heads: int
    mlp_width: int
    time_dim: int
    text_dim: int
    pooled_dim: int
    freq_dim: (
        int  # sinusoids of the diffusion time; as many as the width in the releases
    )
    rope_split: tuple[int, int, int] | None = None
    rope_theta: float = 1e4
    rope_scale: tuple[float, float, float] = (1.0, 1.0, 1.0)
    mask_text: bool = True
    remat: str = "none"  # a name in nn.stack.REMAT
    attention: str | None = None  # an implementation of ops.attention
    dtype: str = "float32"  # of the blocks' computation; parameters are float32

    def __post_init__(self) -> None:
        check_transformer(self)
        for field in ("text_depth", "time_dim", "text_dim", "pooled_dim"):
            if getattr(self, field) < 1:
                raise ConfigError(
                    f"model.{field}={getattr(self, field)} must be at least 1"
                )

    @property
    def needs(self) -> dict[str, str]:
        return {"pooled_BX": ""}
