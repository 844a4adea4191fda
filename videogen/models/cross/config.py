"""Video DiTs that read text by cross-attention: Wan, LTX-Video, Step-Video, Movie Gen..."""

import dataclasses

from videogen.core.errors import ConfigError, suggest
from videogen.models.checks import Transformer, check_transformer
from videogen.nn.attention import QK_NORMS
from videogen.nn.mlp import MLPS
from videogen.nn.norm import NORMS
from videogen.nn.text import PROJECTIONS

POSITIONS = ("rope", "fractional_rope", "learned")
MODULATIONS = ("shared", "own")


@dataclasses.dataclass(frozen=True, kw_only=True)
class CrossConfig(Transformer):
    """A single-stream video DiT: self-attention, cross-attention to text, MLP.

    given_channels: of `given_BFHWC`, concatenated to the noisy latent.
    text_dim, more_text_dims: of the text encoders' embeddings, concatenated along tokens.
    image_dim: of an image encoder's tokens, which get keys and values of their own; 0: none.
    norm, cross_norm: before self-attention and MLP, which are modulated, and before
        cross-attention, which is not; names in nn.norm.NORMS, None for none.
    modulation: "shared", a linear layer of the time for all blocks, and a table in each;
        "own", a linear layer in each block (Goku).
    position: "rope"; "fractional_rope" (LTX), over the full width and of seconds and pixels;
        "learned", tables for each axis added to the input of every block (Movie Gen).
    rope_split: a head's dims for (frame, row, column); None: Wan's rule.
    rope_scale: what coordinates are multiplied with; for "fractional_rope", frames and
        pixels of a latent's place, of at most rope_base (seconds, rows, columns).
    position_sizes: rows of the learned tables.
    """

    latent_channels: int = 16
    given_channels: int = 0
    patch: tuple[int, int, int] = (1, 2, 2)  # (frames, rows, columns) of one token
    width: int
    depth: int
    num_heads: int
    mlp_width: int
    mlp: str = "gelu_tanh"
    bias: bool = True  # of the attentions
    mlp_bias: bool = True
    norm: str = "layer"
    cross_norm: str | None = "layer_affine"
    norm_eps: float = 1e-6
    qk_norm: str | None = "rms_full"
    text_dim: int
    text_projection: str = "mlp"
    more_text_dims: tuple[int, ...] = ()
    more_text_projection: str = "linear"
    image_dim: int = 0
    freq_dim: int = 256  # sinusoids of the diffusion time
    modulation: str = "shared"
    position: str = "rope"
    rope_split: tuple[int, int, int] | None = None
    rope_theta: float = 1e4
    rope_scale: tuple[float, float, float] = (1.0, 1.0, 1.0)
    rope_base: tuple[float, float, float] = (1.0, 1.0, 1.0)
    position_sizes: tuple[int, int, int] = (0, 0, 0)
    mask_text: bool = True  # released Wan attends the padding of its 512 text tokens
    remat: str = "none"  # a name in nn.stack.REMAT
    attention: str | None = None  # an implementation of ops.attention
    dtype: str = "float32"  # of the blocks' computation; parameters are float32

    def __post_init__(self) -> None:
        check_transformer(self)
        for field, options in _NAMES.items():
            name = getattr(self, field)
            if name not in options and not (name is None and field in _OPTIONAL):
                raise ConfigError(
                    f"model.{field}={name!r}{suggest(str(name), options)}"
                )
        if self.position == "learned" and min(self.position_sizes) < 1:
            raise ConfigError(
                f"model.position_sizes={self.position_sizes}: the most (frames, rows, "
                "columns) of tokens, each at least 1"
            )

    @property
    def needs(self) -> dict[str, str]:
        image = {"image_BLX": "model.image_dim=0"} if self.image_dim else {}
        return super().needs | image


_OPTIONAL = ("cross_norm", "qk_norm")
_NAMES = {
    "mlp": MLPS,
    "norm": NORMS,
    "cross_norm": NORMS,
    "qk_norm": QK_NORMS,
    "text_projection": PROJECTIONS,
    "more_text_projection": PROJECTIONS,
    "modulation": MODULATIONS,
    "position": POSITIONS,
}
