"""Published models of the family."""

import dataclasses
from typing import Any

from videogen.models.magi import weights
from videogen.models.magi.config import MagiConfig
from videogen.models.published import Published

_SOURCE = "arXiv 2505.13211; SandAI-org/MAGI-1 example/{}/{}_base_config.json"
_WEIGHTS = {"native": weights.magi_native}


def magi_1_4_5b(**changes: Any) -> MagiConfig:
    """MAGI-1 4.5B: chunks of 24 frames, which are 6 latent ones; T5-XXL's tokens."""
    config = MagiConfig(
        width=3072,
        depth=34,
        num_heads=24,
        mlp_width=12288,
        text_dim=4096,
        condition_dim=768,
    )
    return dataclasses.replace(config, **changes)


def magi_1_24b(**changes: Any) -> MagiConfig:
    """MAGI-1 24B: its 32 channels are the 16 of the latent, twice."""
    sizes: dict[str, Any] = {"width": 6144, "depth": 48, "num_heads": 48}
    sizes |= {"mlp_width": 16384, "mlp": "swiglu", "condition_dim": 1536}
    sizes |= {"latent_copies": 2, "latent_scale": 0.1}
    return magi_1_4_5b(**(sizes | changes))


PUBLISHED: dict[str, Published] = {
    "magi_1_4_5b": Published(
        config=magi_1_4_5b(),
        parameters=4_459_898_128,
        latent_FHWC=(24, 90, 90, 16),
        text_tokens=800,
        source=_SOURCE.format("4.5B", "4.5B"),
        weights=_WEIGHTS,
        assumed=("one text for all chunks of a video",),
    ),
    "magi_1_24b": Published(
        config=magi_1_24b(),
        parameters=23_899_281_936,
        latent_FHWC=(24, 90, 160, 16),
        text_tokens=800,
        source=_SOURCE.format("24B", "24B"),
        weights=_WEIGHTS,
        assumed=("one text for all chunks of a video",),
    ),
}
