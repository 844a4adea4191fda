"""MAGI-1 (arXiv 2505.13211): video made chunk by chunk, each at a noise level of its own."""

import dataclasses

from videogen.core.errors import ConfigError, suggest
from videogen.models.checks import Transformer, check_transformer
from videogen.nn.mlp import MLPS


@dataclasses.dataclass(frozen=True, kw_only=True)
class MagiConfig(Transformer):
    """A block-causal DiT: self- and cross-attention side by side, then an MLP.

    latent_copies: how often the latent's channels stand side by side in the input; of the
        output the first copy counts (2 in MAGI-1 24B, whose trunk is of 32 channels).
    latent_scale: what the latent is multiplied with; the output is divided by it.
    num_kv_heads: of keys and values, of tokens and of text.
    condition_dim: of the vector of time and text that the gates are made of.
    chunk: latent frames that attend each other; they also attend all earlier ones, and no
        later ones. 0: all attend all.
    null_tokens, null_attended: of the learned caption that stands for a dropped one, and
        how many of them tokens attend.
    rope_theta: of the first values of the learned bands.
    reverse_time: what is embedded is 1 - t, as in the release, whose 1 is data.
    """

    latent_channels: int = 16
    latent_copies: int = 1
    latent_scale: float = 1.0
    patch: tuple[int, int, int] = (1, 2, 2)  # (frames, rows, columns) of one token
    width: int
    depth: int
    num_heads: int
    num_kv_heads: int = 8
    mlp_width: int
    mlp: str = "gelu"
    text_dim: int
    condition_dim: int
    null_tokens: int = 800
    null_attended: int = 50
    chunk: int = 6
    freq_dim: int = 256  # sinusoids of the diffusion time
    reverse_time: bool = True
    rope_theta: float = 1e4
    norm_eps: float = 1e-6
    remat: str = "none"  # a name in nn.stack.REMAT
    attention: str | None = None  # an implementation of ops.attention
    dtype: str = "float32"  # of the blocks' computation; parameters are float32

    def __post_init__(self) -> None:
        check_transformer(self)
        if self.mlp not in MLPS:
            raise ConfigError(f"model.mlp={self.mlp!r}{suggest(self.mlp, MLPS)}")
        for field in ("latent_copies", "num_kv_heads", "text_dim", "condition_dim"):
            if getattr(self, field) < 1:
                raise ConfigError(f"model.{field}={getattr(self, field)}: at least 1")
        if self.num_heads % self.num_kv_heads:
            raise ConfigError(
                f"model.num_kv_heads={self.num_kv_heads} does not divide "
                f"model.num_heads={self.num_heads}"
            )
        if self.head_dim < 8:
            raise ConfigError(
                f"model.width={self.width} makes heads of {self.head_dim}, of which no "
                "rotary band fits; at least 8"
            )
        if self.null_tokens < 2:
            raise ConfigError(f"model.null_tokens={self.null_tokens}: at least 2")
        if self.chunk < 0 or self.chunk % self.patch[0]:
            raise ConfigError(
                f"model.chunk={self.chunk} latent frames: 0, or a multiple of "
                f"{self.patch[0]}, the frames of a token"
            )
