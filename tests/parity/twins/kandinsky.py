"""Kandinsky 5 and diffusers'."""

import torch
from parity.harness import Twin, drawing, tensor

from videogen.models.kandinsky.config import KandinskyConfig


def kandinsky(
    head_dim=16, patch=(1, 2, 2), sizes=(3, 8, 10), given=0, scale=(1.0, 1.0, 1.0)
) -> Twin:
    """given: channels. scale: what coordinates are divided by."""
    config = KandinskyConfig(
        **{"latent_channels": 4, "given_channels": given, "patch": patch},
        **{"width": 2 * head_dim, "freq_dim": 2 * head_dim, "num_heads": 2},
        **{"depth": 2, "text_depth": 2, "mlp_width": 40, "time_dim": 14},
        **{"text_dim": 10, "pooled_dim": 6},
        rope_scale=tuple(1 / x for x in scale),
    )
    draw = drawing()
    given_BFHWC, text, pooled = draw(3, *sizes, given), draw(3, 7, 10), draw(3, 6)
    grid = [size // step for size, step in zip(sizes, patch, strict=True)]

    def theirs(model, latent, t):
        out = model(
            torch.cat([latent, tensor(given_BFHWC)], -1),
            tensor(text),
            1000 * t,
            tensor(pooled),
            [torch.arange(size) for size in grid],
            torch.arange(7),
            scale_factor=scale,
        )
        return out.sample

    conditions = {"pooled_BX": pooled, "given_BFHWC": given_BFHWC}
    return Twin(
        name="kandinsky5_video_lite",
        config=config,
        sizes=sizes,
        theirs=theirs,
        ours=lambda v, latent, t: v(latent, t, text, **conditions),
    )
