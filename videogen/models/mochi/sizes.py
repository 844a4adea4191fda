"""Published models of the family."""

import dataclasses
from typing import Any

from videogen.models.mochi import weights
from videogen.models.mochi.config import MochiConfig
from videogen.models.published import Published


def mochi_1(**changes: Any) -> MochiConfig:
    """Mochi-1 preview: T5-XXL's 256 tokens."""
    config = MochiConfig(
        width=3072,
        depth=48,
        num_heads=24,
        mlp_width=8192,
        text_width=1536,
        text_mlp_width=4096,
        text_dim=4096,
    )
    return dataclasses.replace(config, **changes)


PUBLISHED: dict[str, Published] = {
    "mochi_1": Published(
        config=mochi_1(),
        parameters=10_027_677_744,
        latent_FHWC=(28, 60, 106, 12),  # 163 frames at 480 x 848
        text_tokens=256,
        source="genmoai/mochi",
        weights={"diffusers": weights.mochi, "native": weights.mochi_native},
        diffusers_config=weights.mochi_config,
        assumed=("what the rotary frequencies are before training",),
    ),
}
