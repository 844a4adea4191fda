"""Published models of the family. Figures and sources: see each entry."""

import dataclasses
from typing import Any

from videogen.models.kandinsky import weights
from videogen.models.kandinsky.config import KandinskyConfig
from videogen.models.published import Published

_SOURCE = "arXiv 2511.14993; ai-forever/Kandinsky-5 configs"
_NABLA = "high resolution and 10 s were trained with block-sparse attention (NABLA)"


def kandinsky5_video_lite(**changes: Any) -> KandinskyConfig:
    """Kandinsky 5 Video Lite: Qwen2.5-VL's tokens, CLIP's vector, given frames or none."""
    config = KandinskyConfig(
        given_channels=17,
        width=1792,
        depth=32,
        text_depth=2,
        num_heads=28,
        mlp_width=7168,
        time_dim=512,
        text_dim=3584,
        pooled_dim=768,
        freq_dim=1792,
        rope_split=(16, 24, 24),
        rope_scale=(1.0, 1 / 2, 1 / 2),
    )
    return dataclasses.replace(config, **changes)


def kandinsky5_video_pro(**changes: Any) -> KandinskyConfig:
    """Kandinsky 5 Video Pro."""
    sizes = {"width": 4096, "depth": 60, "text_depth": 4, "num_heads": 32}
    sizes |= {"mlp_width": 16384, "time_dim": 1024, "freq_dim": 4096}
    more = {"rope_split": (32, 48, 48), "rope_scale": (1.0, 1 / 3.16, 1 / 3.16)}
    return kandinsky5_video_lite(**(sizes | more | changes))


def kandinsky5_image_lite(**changes: Any) -> KandinskyConfig:
    """Kandinsky 5 Image Lite, text to image: one frame, nothing given."""
    sizes = {"width": 2560, "depth": 50, "num_heads": 20, "mlp_width": 10240}
    more = {"freq_dim": 2560, "rope_split": (32, 48, 48), "given_channels": 0}
    more |= {"rope_scale": (1.0, 1.0, 1.0)}
    return kandinsky5_video_lite(**(sizes | more | changes))


def _kandinsky(config: KandinskyConfig, parameters: int, **more: Any) -> Published:
    fields: dict[str, Any] = {
        "text_tokens": 256,
        "source": _SOURCE,
        "weights": {"diffusers": weights.diffusers, "native": weights.diffusers},
        "diffusers_config": weights.diffusers_config,
    }
    return Published(config=config, parameters=parameters, **(fields | more))


PUBLISHED: dict[str, Published] = {
    "kandinsky5_video_lite": _kandinsky(
        kandinsky5_video_lite(),
        2_007_702_848,
        latent_FHWC=(31, 64, 96, 16),
    ),
    "kandinsky5_video_pro": _kandinsky(
        kandinsky5_video_pro(),
        19_311_325_248,
        latent_FHWC=(31, 96, 160, 16),
        assumed=(_NABLA,),
    ),
    "kandinsky5_image_lite": _kandinsky(
        kandinsky5_image_lite(),
        6_022_080_576,
        latent_FHWC=(1, 128, 128, 16),
        source=f"{_SOURCE}; diffusers' pipeline of images",
    ),
}
