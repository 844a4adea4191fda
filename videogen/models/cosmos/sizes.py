"""Published models of the family. Figures and sources: see each entry."""

import dataclasses
from typing import Any

from videogen.models.cosmos import weights
from videogen.models.cosmos.config import CosmosConfig
from videogen.models.published import Published

_PREDICT1 = "arXiv 2501.03575; nvidia-cosmos/cosmos-predict1"
_PREDICT2 = "nvidia-cosmos/cosmos-predict2 configs/base/config_video2world.py"
_EDM = (
    "trained in EDM's form, sigma_data 0.5: t is ln(sigma) / 4, the output no velocity"
)


def cosmos1_7b_text2world(**changes: Any) -> CosmosConfig:
    """Cosmos-Predict1-7B-Text2World: T5-11B's 512 tokens, a mask of padding."""
    config = CosmosConfig(
        given_channels=1,
        width=4096,
        depth=28,
        num_heads=32,
        mlp_width=16384,
        text_dim=1024,
        freq_dim=4096,
        position_sizes=(128, 120, 120),
        rope_ntk=(2.0, 1.0, 1.0),
        base_fps=24.0,
        mask_text=False,
    )
    return dataclasses.replace(config, **changes)


def cosmos1_14b_text2world(**changes: Any) -> CosmosConfig:
    """Cosmos-Predict1-14B-Text2World."""
    sizes = {"width": 5120, "depth": 36, "num_heads": 40, "mlp_width": 20480}
    more = {"freq_dim": 5120, "rope_ntk": (2.0, 2.0, 2.0)}
    return cosmos1_7b_text2world(**(sizes | more | changes))


def cosmos2_2b_video2world(**changes: Any) -> CosmosConfig:
    """Cosmos-Predict2-2B-Video2World: a mask of given frames, one of padding.

    Its authors turn frames by their number; diffusers' pipeline by seconds.
    """
    config = CosmosConfig(
        given_channels=2,
        width=2048,
        depth=28,
        num_heads=16,
        mlp_width=8192,
        text_dim=1024,
        freq_dim=2048,
        rope_ntk=(1.0, 3.0, 3.0),
        mask_text=False,
    )
    return dataclasses.replace(config, **changes)


def cosmos2_14b_video2world(**changes: Any) -> CosmosConfig:
    """Cosmos-Predict2-14B-Video2World."""
    sizes = {"width": 5120, "depth": 36, "num_heads": 40, "mlp_width": 20480}
    more = {"freq_dim": 5120, "rope_ntk": (20 / 24, 2.0, 2.0)}
    return cosmos2_2b_video2world(**(sizes | more | changes))


def cosmos2_5_2b(**changes: Any) -> CosmosConfig:
    """Cosmos-Predict2.5-2B: all 28 layers of Reason1 (Qwen2.5-VL) side by side as text."""
    sizes = {"text_dim": 100_352, "text_proj_dim": 1024}
    return cosmos2_2b_video2world(**(sizes | changes))


def _cosmos(config: CosmosConfig, parameters: int, **more: Any) -> Published:
    """At 720p: 704 x 1280."""
    fields: dict[str, Any] = {
        "latent_FHWC": (24, 88, 160, 16),
        "text_tokens": 512,
        "source": _PREDICT2,
        "weights": {"diffusers": weights.diffusers, "native": weights.predict2},
    }
    fields["diffusers_config"] = weights.diffusers_config
    return Published(config=config, parameters=parameters, **(fields | more))


_FIRST: dict[str, Any] = {
    "latent_FHWC": (16, 88, 160, 16),
    "source": _PREDICT1,
    "weights": {"diffusers": weights.diffusers},
    "assumed": (_EDM,),
}

PUBLISHED: dict[str, Published] = {
    "cosmos1_7b_text2world": _cosmos(cosmos1_7b_text2world(), 7_236_192_256, **_FIRST),
    "cosmos1_14b_text2world": _cosmos(
        cosmos1_14b_text2world(), 14_267_149_312, **_FIRST
    ),
    "cosmos2_2b_video2world": _cosmos(cosmos2_2b_video2world(), 1_956_413_440),
    "cosmos2_14b_video2world": _cosmos(cosmos2_14b_video2world(), 14_265_285_632),
    "cosmos2_5_2b": _cosmos(
        cosmos2_5_2b(),
        2_059_174_912,
        source="nvidia-cosmos/cosmos-predict2.5; diffusers' converter",
        assumed=(
            "the shape of a sample and the rotary factors are those of Predict2 2B",
            "network as diffusers has it (no learned positions, frames by their number)",
        ),
    ),
}
