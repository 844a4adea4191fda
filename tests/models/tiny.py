"""A tiny network of every family, and what tests must know of it."""

from dataclasses import dataclass
from typing import Any

import jax

from videogen.models import FAMILIES
from videogen.models.cogvideox.config import CogVideoXConfig
from videogen.models.cosmos.config import CosmosConfig
from videogen.models.cross.config import CrossConfig
from videogen.models.dit.config import DiTConfig
from videogen.models.factorised.config import FactorisedConfig
from videogen.models.hybrid.config import HybridConfig
from videogen.models.joint.config import JointConfig
from videogen.models.kandinsky.config import KandinskyConfig
from videogen.models.magi.config import MagiConfig
from videogen.models.mochi.config import MochiConfig
from videogen.models.sound.config import SoundConfig

SIZES = {"latent_channels": 4, "width": 32, "depth": 2, "num_heads": 4, "mlp_width": 64}
TEXT = ("text_BLD", "text_mask_BL")


@dataclass(frozen=True, kw_only=True)
class Tiny:
    """One network.

    idle: parameters that change no output.
    tokens: the conditions that its `tokens` takes in this order, after t; more: as keywords.
    period: blocks that make a turn. audio: (frames, channels) of the latent's sound.
    """

    config: Any
    idle: frozenset[str] = frozenset()
    tokens: tuple[str, ...] = TEXT
    more: tuple[str, ...] = ()
    period: int = 1
    audio: tuple[int, int] | None = None

    def latent(self, video_BFHWC):
        """What is diffused: the video, or with it a sound that is drawn here."""
        if self.audio is None:
            return video_BFHWC
        shape = (len(video_BFHWC), *self.audio)
        return {
            "video": video_BFHWC,
            "audio": jax.random.normal(jax.random.key(5), shape),
        }


# A name is a family's, perhaps with what is special about this member of it.
TINY = {
    "cogvideox": Tiny(config=CogVideoXConfig(**SIZES, text_dim=16, time_dim=32)),
    "cosmos": Tiny(
        config=CosmosConfig(
            **SIZES,
            **{"text_dim": 16, "text_proj_dim": 24, "freq_dim": 32, "lora_rank": 4},
            position_sizes=(4, 4, 4),
            base_fps=24.0,
        )
    ),
    "cross": Tiny(config=CrossConfig(**SIZES, text_dim=16)),
    "cross_learned": Tiny(  # as Movie Gen
        config=CrossConfig(
            **SIZES,
            **{"mlp": "swiglu", "bias": False, "mlp_bias": False, "qk_norm": None},
            **{"norm": "rms_affine", "cross_norm": "rms_affine", "norm_eps": 1e-5},
            **{"text_projection": "linear_norm", "more_text_projection": "linear_norm"},
            text_dim=16,
            more_text_dims=(12,),
            position="learned",
            position_sizes=(4, 4, 4),
        ),
        more=("text2_BLX",),
    ),
    "dit": Tiny(
        config=DiTConfig(**SIZES, num_classes=5),
        # Softmax does not see what is added to all scores of a query.
        idle=frozenset({"blocks.attn1.to_k.bias"}),
        tokens=("label_B",),
    ),
    "dit_latte": Tiny(
        config=DiTConfig(**SIZES, num_classes=5, factorised=True, position="sincos_2d"),
        idle=frozenset({"blocks.attn1.to_k.bias"}),
        tokens=("label_B",),
        period=2,
    ),
    "factorised": Tiny(
        config=FactorisedConfig(
            **SIZES,
            text_dim=16,
            qk_norm="rms_head",
            position="sincos_rope",
            embeds_fps=True,
        ),
        idle=frozenset(f"blocks.{x}.attn2.to_k.bias" for x in ("first", "second")),
        tokens=(*TEXT, "fps_B"),
    ),
    "hybrid": Tiny(
        config=HybridConfig(**SIZES, patch=(1, 2, 2), shared_depth=2, text_dim=16)
    ),
    "joint": Tiny(
        config=JointConfig(
            **SIZES, single_depth=2, text_dim=16, pooled_dim=12, guidance=True
        ),
        idle=frozenset(
            {"condition_embedder.context_embedder.refiner_blocks.attn.to_k.bias"}
        ),
        more=("pooled_BX", "guidance_B"),
    ),
    "kandinsky": Tiny(
        config=KandinskyConfig(
            **SIZES,
            **{"text_depth": 2, "time_dim": 24, "text_dim": 16, "pooled_dim": 12},
            freq_dim=32,
        ),
        tokens=(*TEXT, "pooled_BX"),
    ),
    "magi": Tiny(
        config=MagiConfig(
            **SIZES,
            num_kv_heads=2,
            text_dim=16,
            condition_dim=24,
            null_tokens=8,
            chunk=1,
        ),
        idle=frozenset({"blocks.attn2.norm_k.bias"}),
    ),
    "mochi": Tiny(
        config=MochiConfig(**SIZES, text_dim=16, text_width=16, text_mlp_width=24),
        # The release has queries of text in its last block, whose text nobody reads.
        idle=frozenset(
            {
                "last_blocks.attn1.text.norm_q.scale",
                "last_blocks.attn1.text.to_q.kernel",
            }
        ),
    ),
    "sound": Tiny(
        config=SoundConfig(**SIZES, text_dim=16, audio_channels=6, audio_per_frame=2.0),
        audio=(6, 6),
    ),
}


def family_of(name: str) -> Any:
    """The family of a name in TINY."""
    return FAMILIES[name.partition("_")[0]]
