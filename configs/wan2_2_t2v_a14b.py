"""Wan2.2 T2V A14B, one of its two experts.

What: text to video by two networks of Wan2.1 14B's size, switched at the noise level t =
0.875: each is trained on its own side. This config trains the high-noise one;
--config.time.within='(0.0,0.875)' the other, in a workdir of its own. Sampling switches:
`videogen sample --workdir=HIGH --low_noise=LOW`.

Source: arXiv 2503.20314 (Wan), sections 4.2 and 4.3; Wan-Video repositories, wan/configs.
Recipe: none of 2.2 is published, this is 2.1's: AdamW, weight decay 1e-3, learning rate
1e-4 reduced on a plateau, bfloat16; images of 256 px, then images with 5 s at 192 px (16
fps), then 480 px, then 720 px, then both. Batches, steps and hours are not published.
Hardware: published layout for 14B: 128 GPUs as ulysses 8 x ring 2, FSDP 32, data 4.
Counts: 2 x 14,288,491,584 parameters (exact), one active.
Unverified: everything in config.assumed; the boundary in training (0.875 is that of
sampling); the release trained on 65.6 % more images and 83.2 % more videos than 2.1.
Needs: latents of the release's own autoencoder, which this project does not hold yet; of text
encoders it reads T5's, UMT5's, ByT5's and CLIP's weights (README).
On our own latents and captions the same trunk trains with
--config.model.text_dim=384.
Command:
  python -m videogen.train --config=configs/wan2_2_t2v_a14b.py \
      --workdir=runs/wan2_2_t2v_a14b --config.data.path=DATASET
"""

from ml_collections import config_dict

from configs import wan2_1_t2v_14b


def get_config() -> config_dict.ConfigDict:
    """Wan2.2 T2V A14B, one of its two experts."""
    config = wan2_1_t2v_14b.get_config()
    config.model.name = "wan2_2_t2v_a14b"
    ours = "as Wan2.1's; the recipe of 2.2 is not published"
    released = "Wan-Video/Wan2.2 wan/configs"
    sampled = ("boundary", "guidance", "low_guidance", "num_steps", "shift")
    config.published = {"sample": dict.fromkeys(sampled, released)}
    config.assumed = config.assumed.to_dict() | {"optimizer": ours, "plateau": ours}
    config.time.within = (0.875, 1.0)
    config.sample.update(
        {"shift": 12.0, "num_steps": 40, "guidance": 4.0}
        | {"boundary": 0.875, "low_guidance": 3.0}
    )
    del config.assumed.sample
    return config
