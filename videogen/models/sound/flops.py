"""The arithmetic of video and sound: `cross`'s, over longer sequences."""

from videogen.models.cross import flops as cross
from videogen.models.sound.config import SoundConfig


def forward_flops(
    config: SoundConfig, latent: cross.LatentShape, text_length: int
) -> int:
    """FLOPs of one forward pass of one sample with its sound."""
    d, n = config.width, cross.num_tokens(config, latent)
    a = num_audio_tokens(config, latent[0])
    products = 3 if config.mlp == "swiglu" else 2
    linear = 2 * (6 * d * d + products * d * config.mlp_width)
    attention = 4 * d * (2 * n + a + text_length)  # to both parts, and from the video
    ends = 4 * config.audio_channels * d
    video = cross.forward_flops(config, latent, text_length)
    return video + a * (config.depth * (linear + attention) + ends)


def num_audio_tokens(config: SoundConfig, latent_frames: int) -> int:
    """Those in the time of so many latent frames."""
    return round(config.audio_per_frame * latent_frames)
