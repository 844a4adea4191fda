"""Models in the style of one that is closed."""

import dataclasses
from typing import Any

from videogen.models.published import Published
from videogen.models.sound.config import SoundConfig


def veo_style(**changes: Any) -> SoundConfig:
    """In the style of Veo 3: Wan's 14B trunk, over video and sound."""
    config = SoundConfig(
        width=5120,
        depth=40,
        num_heads=40,
        mlp_width=13824,
        text_dim=4096,
        audio_channels=256,
        audio_per_frame=62.5
        / 6,  # 16 kHz in hops of 256; 24 frames a second, 4 to a latent
    )
    return dataclasses.replace(config, **changes)


PUBLISHED: dict[str, Published] = {
    "veo_style": Published(
        config=veo_style(),
        parameters=None,
        latent_FHWC=(49, 90, 160, 16),
        text_tokens=512,
        source="Veo: a text-to-video generation system, Google DeepMind, 2025 (Veo 3)",
        status="style",
        assumed=(
            "published: latent diffusion applied jointly to temporal audio latents and "
            "spatio-temporal video latents, by a transformer-based denoiser; all else is ours",
            "no size is published: the trunk of Wan2.1 14B",
            "one sequence of video and audio tokens, the same weights but for the linear "
            "layers in and out; the same diffusion time for both",
            "rotary positions on one time axis, in units of latent frames",
            "flow matching; the losses of both parts added with weight 1",
            "a video autoencoder of strides 4 x 8 x 8 and 16 channels, patches of 1 x 2 x 2",
            "audio latents: 16 kHz mono in 256 bands of a lapped transform, 62.5 a second",
            "text embeddings of width 4096, 512 tokens, by cross-attention",
            "an image is given as a clean first latent frame, told t = 0",
            "8 seconds of 720 x 1280 at 24 frames a second",
        ),
    ),
}
