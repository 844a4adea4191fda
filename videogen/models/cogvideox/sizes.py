"""Published models of the family. Figures and sources: see each entry."""

import dataclasses
from typing import Any

from videogen.models.cogvideox import weights
from videogen.models.cogvideox.config import CogVideoXConfig
from videogen.models.published import Published


def cogvideox_2b(**changes: Any) -> CogVideoXConfig:
    """CogVideoX-2B: T5-XXL's 226 tokens, padding attended; 3D sincos positions."""
    config = CogVideoXConfig(
        width=1920,
        depth=30,
        num_heads=30,
        mlp_width=7680,
        text_dim=4096,
        freq_dim=1920,
        position="sincos",
        position_scale=(1.0, 1 / 1.875, 1 / 1.875),
        mask_text=False,
    )
    return dataclasses.replace(config, **changes)


def cogvideox_5b(**changes: Any) -> CogVideoXConfig:
    """CogVideoX-5B: rotary positions, (16, 24, 24) of a head's 64 dims.

    At other sizes than 480 x 720 diffusers' pipeline squeezes rows and columns onto the 30 x
    45 of training, as `position_scale` would; the authors' code, and 1.5, go on counting.
    """
    config = CogVideoXConfig(
        width=3072,
        depth=42,
        num_heads=48,
        mlp_width=12288,
        text_dim=4096,
        freq_dim=3072,
        mask_text=False,
    )
    return dataclasses.replace(config, **changes)


def cogvideox_5b_i2v(**changes: Any) -> CogVideoXConfig:
    """CogVideoX-5B-I2V: an image's latent beside the noise, learned positions besides."""
    sizes = {"given_channels": 16, "position_sizes": (13, 30, 45), "position_text": 226}
    return cogvideox_5b(**(sizes | changes))


def cogvideox1_5_5b(**changes: Any) -> CogVideoXConfig:
    """CogVideoX1.5-5B: two latent frames in a token; see `model` for an odd number."""
    return cogvideox_5b(**({"patch": (2, 2, 2)} | changes))


def cogvideox1_5_5b_i2v(**changes: Any) -> CogVideoXConfig:
    """CogVideoX1.5-5B-I2V; its pipeline always says 2 for the offset."""
    return cogvideox1_5_5b(**({"given_channels": 16, "offset": 2.0} | changes))


def _published(config: CogVideoXConfig, parameters: int, **more: Any) -> Published:
    """49 frames at 480p, unless said."""
    fields: dict[str, Any] = {
        "latent_FHWC": (13, 60, 90, 16),
        "text_tokens": 226,
        "source": "arXiv 2408.06072; THUDM/CogVideo",
        "weights": {"diffusers": weights.cogvideox},
        "diffusers_config": weights.cogvideox_config,
    }
    return Published(config=config, parameters=parameters, **(fields | more))


# 81 frames at 768 x 1360 are 21 latent frames, to which one is added.
_LONG = {"latent_FHWC": (22, 96, 170, 16), "text_tokens": 224}

PUBLISHED: dict[str, Published] = {
    "cogvideox_2b": _published(cogvideox_2b(), 1_693_783_872),
    "cogvideox_5b": _published(cogvideox_5b(), 5_570_283_072),
    # Their training learns the table of positions, diffusers holds it as a buffer.
    "cogvideox_5b_i2v": _published(cogvideox_5b_i2v(), 5_570_479_680 + 54_607_872),
    "cogvideox1_5_5b": _published(cogvideox1_5_5b(), 5_570_676_352, **_LONG),
    "cogvideox1_5_5b_i2v": _published(cogvideox1_5_5b_i2v(), 5_571_594_880, **_LONG),
}
