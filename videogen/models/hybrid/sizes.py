"""Published models of the family, of which none is released."""

import dataclasses
from typing import Any

from videogen.models.hybrid.config import HybridConfig
from videogen.models.published import Published


def seaweed_7b(**changes: Any) -> HybridConfig:
    """Seaweed-7B: 32 layers, the deeper two thirds with one MLP for both streams."""
    config = HybridConfig(
        latent_channels=48,
        width=3584,
        depth=11,
        shared_depth=21,
        num_heads=28,
        mlp_width=9472,
        text_dim=4096,
    )
    return dataclasses.replace(config, **changes)


PUBLISHED: dict[str, Published] = {
    "seaweed_7b": Published(
        config=seaweed_7b(),
        parameters=None,
        latent_FHWC=(31, 45, 80, 48),
        text_tokens=512,
        source="arXiv 2504.08685",
        status="approximate",
        assumed=(
            "28 heads of 128; 11 layers with two MLPs, 21 with one",
            "mlp_width=9472, near 8/3 of the width: 7.7 billion parameters",
            "biases outside the blocks only; layer norm without gain",
            "norms of q and k: RMS, per head",
            "modulation of both streams by one layer of the time, a table for each",
            "the rotation's dims for (frame, row, column): 44, 42, 42; text token i "
            "stands at (i, i, i)",
            "text embeddings of width 4096, 512 tokens, a two-layer projection",
            "121 frames at 720 x 1280",
        ),
    ),
}
