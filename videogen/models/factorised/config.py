"""Video DiTs whose tokens attend in groups: Latte-1, Open-Sora 1.2, Open-Sora Plan 1.3."""

import dataclasses

from videogen.core.errors import ConfigError, suggest
from videogen.models.checks import Transformer, check_transformer
from videogen.nn.attention import QK_NORMS
from videogen.nn.groups import GROUPS

POSITIONS = ("sincos", "sincos_rope", "rope")


@dataclasses.dataclass(frozen=True, kw_only=True)
class FactorisedConfig(Transformer):
    """A trunk of pairs of blocks, each with attention in groups of its own.

    learn_sigma: predict twice the channels, as networks trained with a learned variance do.
    depth: pairs of blocks.
    groups: of a pair's two blocks; names in nn.groups.GROUPS.
    skip: the k of "skip" and "group_skip".
    full_pairs: at either end of the trunk, so many pairs attend all tokens.
    text_in_second: False: only the first block of a pair reads the text (Latte-1).
    qk_norm: of self-attention.
    position: "sincos": of row and column at the input, of the frame before the trunk's
        second block (Latte). "sincos_rope": of row and column at the input, rotary of the
        frame in "temporal" attention (Open-Sora). "rope": rotary of all three.
    position_base: tokens that a grid's side counts as in "sincos", whatever their number.
    rope_split: a head's dims for (frame, row, column) in "rope".
    embeds_fps: frames per second, fps_B, are added to the time's embedding.
    """

    latent_channels: int = 4
    learn_sigma: bool = False
    patch: tuple[int, int, int] = (1, 2, 2)  # (frames, rows, columns) of one token
    width: int
    depth: int
    num_heads: int
    mlp_width: int
    groups: tuple[str, str] = ("spatial", "temporal")
    skip: int = 4
    full_pairs: int = 0
    text_dim: int
    text_in_second: bool = True
    mask_text: bool = True
    norm_eps: float = 1e-6
    qk_norm: str | None = None
    freq_dim: int = 256  # sinusoids of the diffusion time
    position: str = "sincos"
    position_base: int = 32
    rope_split: tuple[int, int, int] | None = None
    rope_theta: float = 1e4
    embeds_fps: bool = False
    remat: str = "none"  # a name in nn.stack.REMAT
    attention: str | None = None  # an implementation of ops.attention
    dtype: str = "float32"  # of the blocks' computation; parameters are float32

    def __post_init__(self) -> None:
        check_transformer(self)
        for name in self.groups:
            if name not in GROUPS:
                raise ConfigError(f"model.groups: {name!r}{suggest(name, GROUPS)}")
        if self.position not in POSITIONS:
            raise ConfigError(
                f"model.position={self.position!r}{suggest(self.position, POSITIONS)}"
            )
        if self.qk_norm is not None and self.qk_norm not in QK_NORMS:
            raise ConfigError(
                f"model.qk_norm={self.qk_norm!r}{suggest(self.qk_norm, QK_NORMS)}"
            )
        for field, least in (("skip", 1), ("position_base", 1), ("full_pairs", 0)):
            if getattr(self, field) < least:
                raise ConfigError(
                    f"model.{field}={getattr(self, field)} must be at least {least}"
                )
        if self.depth <= 2 * self.full_pairs:
            raise ConfigError(
                f"model.full_pairs={self.full_pairs} at either end leave none of "
                f"model.depth={self.depth}"
            )
        if self.width % 4 and self.position != "rope":
            raise ConfigError(
                f"model.width={self.width} must divide by 4 for sincos positions"
            )

    @property
    def out_dim(self) -> int:
        """Numbers predicted for one token."""
        return self.token_dim * (2 if self.learn_sigma else 1)

    @property
    def needs(self) -> dict[str, str]:
        return {"fps_B": "model.embeds_fps=False"} if self.embeds_fps else {}
