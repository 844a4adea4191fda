"""Mochi and diffusers'."""

import numpy as np
from parity.harness import Twin, channels_first, channels_last, drawing, tensor

from videogen.models.mochi.config import MochiConfig

MASK = np.arange(7) < np.array([[7], [4], [1]])


def mochi(depth=3, sizes=(3, 8, 10)) -> Twin:
    """Captions of all, some and one of the tokens."""
    width, text_width = 48, 24
    config = MochiConfig(
        **{"latent_channels": 4, "width": width, "depth": depth, "num_heads": 3},
        **{"mlp_width": 8 * width // 3, "text_width": text_width, "text_dim": 16},
        **{"text_mlp_width": 8 * text_width // 3, "freq_dim": 32},
    )
    text = drawing()(3, 7, 16)

    def theirs(model, latent, t):
        told = channels_first(latent), tensor(text), 1000 * t, tensor(MASK)
        return channels_last(model(*told).sample)

    return Twin(
        name="mochi_1",
        config=config,
        sizes=sizes,
        theirs=theirs,
        ours=lambda v, latent, t: v(latent, t, text, MASK),
        turned=True,
    )
