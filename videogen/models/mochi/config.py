"""Mochi-1 (genmoai/mochi): a wide stream of video and a narrow one of text."""

import dataclasses

from videogen.core.errors import ConfigError
from videogen.models.checks import Transformer, check_transformer


@dataclasses.dataclass(frozen=True, kw_only=True)
class MochiConfig(Transformer):
    """An asymmetric dual-stream video DiT: joint attention, an MLP for each stream.

    text_width, text_mlp_width: of the text's stream, whose heads are as wide as the video's.
    pool_heads: of the attention that makes one vector of the text.
    position_area: what every frame's (rows x columns) is scaled to.
    """

    latent_channels: int = 12
    patch: tuple[int, int, int] = (1, 2, 2)  # (frames, rows, columns) of one token
    width: int
    depth: int
    num_heads: int
    mlp_width: int
    text_width: int
    text_mlp_width: int
    text_dim: int
    pool_heads: int = 8
    norm_eps: float = 1e-6
    freq_dim: int = 256  # sinusoids of the diffusion time
    position_area: float = 192.0 * 192.0
    remat: str = "none"  # a name in nn.stack.REMAT
    attention: str | None = None  # an implementation of ops.attention
    dtype: str = "float32"  # of the blocks' computation; parameters are float32

    def __post_init__(self) -> None:
        check_transformer(self)
        for field in ("text_width", "text_mlp_width", "text_dim", "pool_heads"):
            if getattr(self, field) < 1:
                raise ConfigError(f"model.{field}={getattr(self, field)}: at least 1")
        if self.text_dim % self.pool_heads:
            raise ConfigError(
                f"model.text_dim={self.text_dim} does not cut into "
                f"model.pool_heads={self.pool_heads} heads"
            )
        if self.position_area <= 0:
            raise ConfigError(f"model.position_area={self.position_area}: above 0")
