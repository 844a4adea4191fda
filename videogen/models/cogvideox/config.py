"""CogVideoX (arXiv 2408.06072): video and text as one sequence through shared weights."""

import dataclasses

from videogen.core.errors import ConfigError, suggest
from videogen.models.checks import Transformer, check_transformer

POSITIONS = ("rope", "sincos")


@dataclasses.dataclass(frozen=True, kw_only=True)
class CogVideoXConfig(Transformer):
    """A video DiT whose text tokens are part of the sequence, modulated apart.

    given_channels: of `given_BFHWC`, concatenated to the noisy latent (an image's latent).
    time_dim: of the vector that modulates every block.
    offset: a constant that is embedded and added to the time (1.5 I2V's "ofs"); None: none.
    position: "rope" turns the heads of video tokens; "sincos" is added at the input (2B).
    rope_split: a head's dims for (frame, row, column); None: a quarter is the frame's.
    position_scale: what coordinates are multiplied with.
    position_sizes, position_text: (frames, rows, columns) of video tokens and number of text
        tokens with a learned vector of their own, added at the input (5B I2V); 0: none.
    """

    latent_channels: int = 16
    given_channels: int = 0
    patch: tuple[int, int, int] = (1, 2, 2)  # (frames, rows, columns) of one token
    width: int
    depth: int
    num_heads: int
    mlp_width: int
    norm_eps: float = 1e-5
    text_dim: int
    freq_dim: int = 256  # sinusoids of the diffusion time; the releases take the width
    time_dim: int = 512
    offset: float | None = None
    position: str = "rope"
    rope_split: tuple[int, int, int] | None = None
    rope_theta: float = 1e4
    position_scale: tuple[float, float, float] = (1.0, 1.0, 1.0)
    position_sizes: tuple[int, int, int] = (0, 0, 0)
    position_text: int = 0
    mask_text: bool = True  # the releases attend the padding of their text tokens
    remat: str = "none"  # a name in nn.stack.REMAT
    attention: str | None = None  # an implementation of ops.attention
    dtype: str = "float32"  # of the blocks' computation; parameters are float32

    def __post_init__(self) -> None:
        check_transformer(self)
        if self.time_dim < 2 or self.time_dim % 2:
            raise ConfigError(
                f"model.time_dim={self.time_dim} must be even, at least 2"
            )
        if self.position not in POSITIONS:
            hint = suggest(self.position, POSITIONS)
            raise ConfigError(f"model.position={self.position!r}{hint}")
        if (self.position_text or any(self.position_sizes)) and (
            min(self.position_sizes) < 1 or self.position_text < 0
        ):
            raise ConfigError(
                f"model.position_sizes={self.position_sizes}, "
                f"model.position_text={self.position_text}: sizes each at least 1, or all 0 "
                "without a table"
            )
