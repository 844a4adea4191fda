"""MM-DiTs, in which video and text are streams of one attention: HunyuanVideo, Open-Sora 2."""

import dataclasses

from videogen.core.errors import ConfigError, suggest
from videogen.models.checks import Transformer, check_transformer

TEXT_PROJECTIONS = ("linear", "refiner")


@dataclasses.dataclass(frozen=True, kw_only=True)
class JointConfig(Transformer):
    """Two streams with weights of their own, then one stream of both.

    given_channels: of `given_BFHWC`, concatenated to the noisy latent; or, given_embedder,
        brought to the width by a layer of their own and added.
    clean_first_frame: tokens of frame 0 hold clean latents and are modulated as at t = 0
        (HunyuanVideo-I2V's token replacement).
    depth, single_depth: blocks of two streams, blocks of one.
    text_dim, text_projection: of the first text encoder; "refiner": refiner_depth blocks of
        attention among its tokens.
    more_text_dims, more_text_width: of further text encoders, and of their MLPs.
    image_dim: of an image encoder's tokens, which join the text; 0: none.
    pooled_dim: of one vector of the whole caption, which modulates; 0: none.
    guidance: the network imitates guidance of a strength that it is told.
    rope_split: a head's dims for (frame, row, column); None: Wan's rule.
    """

    latent_channels: int = 16
    given_channels: int = 0
    given_embedder: bool = False
    clean_first_frame: bool = False
    patch: tuple[int, int, int] = (1, 2, 2)  # (frames, rows, columns) of one token
    width: int
    depth: int
    single_depth: int = 0
    num_heads: int
    mlp_width: int
    text_dim: int
    text_projection: str = "refiner"
    refiner_depth: int = 2
    more_text_dims: tuple[int, ...] = ()
    more_text_width: int = 2048
    image_dim: int = 0
    pooled_dim: int = 0
    guidance: bool = False
    freq_dim: int = 256  # sinusoids of the diffusion time
    rope_split: tuple[int, int, int] | None = None
    rope_theta: float = 1e4
    mask_text: bool = True  # released Open-Sora 2.0 attends the padding of its text
    remat: str = "none"  # a name in nn.stack.REMAT
    attention: str | None = None  # an implementation of ops.attention
    dtype: str = "float32"  # of the blocks' computation; parameters are float32

    def __post_init__(self) -> None:
        check_transformer(self)
        if self.text_projection not in TEXT_PROJECTIONS:
            raise ConfigError(
                f"model.text_projection={self.text_projection!r}"
                f"{suggest(self.text_projection, TEXT_PROJECTIONS)}"
            )
        for field, least in _LEAST.items():
            if getattr(self, field) < least:
                raise ConfigError(
                    f"model.{field}={getattr(self, field)} must be at least {least}"
                )
        if self.given_embedder and not self.given_channels:
            raise ConfigError(
                "model.given_embedder=True needs model.given_channels above 0"
            )

    @property
    def needs(self) -> dict[str, str]:
        needs = super().needs
        if self.pooled_dim:
            needs["pooled_BX"] = "model.pooled_dim=0"
        if self.guidance:
            needs["guidance_B"] = "model.guidance=False"
        return needs


_LEAST = {"text_dim": 1, "refiner_depth": 1, "more_text_width": 1} | dict.fromkeys(
    ("given_channels", "single_depth", "image_dim", "pooled_dim"), 0
)
