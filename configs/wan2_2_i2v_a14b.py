"""Wan2.2 I2V A14B, one of its two experts.

What: image to video by two networks, switched at the noise level t = 0.9: 20 given channels
(mask and latent of the first frame) beside the noise, no image encoder. This config trains the
high-noise one; --config.time.within='(0.0,0.9)' the other, in a workdir of its own. Sampling
switches: `videogen sample --workdir=HIGH --low_noise=LOW`.

Source: arXiv 2503.20314 (Wan), sections 4.2 and 4.3; Wan-Video repositories, wan/configs.
Recipe: none of 2.2 is published; as configs/wan2_2_t2v_a14b.py.
Hardware: published layout for 14B: 128 GPUs as ulysses 8 x ring 2, FSDP 32, data 4.
Counts: 2 x 14,288,901,184 parameters (exact), one active.
Unverified: everything in config.assumed; the boundary in training (0.9 is that of sampling).
Needs: latents of the release's own autoencoder, which this project does not hold yet; of text
encoders it reads T5's, UMT5's, ByT5's and CLIP's weights (README).
On our own latents and captions the same trunk trains with
--config.model.text_dim=384.
Command:
  python -m videogen.train --config=configs/wan2_2_i2v_a14b.py \
      --workdir=runs/wan2_2_i2v_a14b --config.data.path=DATASET
"""

from ml_collections import config_dict

from configs import wan2_2_t2v_a14b


def get_config() -> config_dict.ConfigDict:
    """Wan2.2 I2V A14B, one of its two experts."""
    config = wan2_2_t2v_a14b.get_config()
    config.model.name = "wan2_2_i2v_a14b"
    config.tasks = {"t2v": 0.0, "i2v": 1.0, "how": "channels"}
    config.published.tasks = "Wan-Video/Wan2.2 wan/image2video.py: the first frame"
    config.time.within = (0.9, 1.0)
    config.sample.update(
        {"shift": 5.0, "guidance": 3.5, "boundary": 0.9, "low_guidance": 3.5}
    )
    return config
