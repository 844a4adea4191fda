"""Wan2.2 TI2V 5B at 704p.

What: text and image to video, 121 frames of 704 x 1280 at 24 fps (27,280 tokens); the first
frame is given clean, with t = 0 for its tokens (config.time.clean_frames).

Source: arXiv 2503.20314 (Wan), sections 4.2 and 4.3; Wan-Video repositories, wan/configs.
Recipe: none of 2.2 is published, this is 2.1's: AdamW, weight decay 1e-3, learning rate
1e-4 reduced on a plateau, bfloat16; images of 256 px, then images with 5 s at 192 px (16
fps), then 480 px, then 720 px, then both. Batches, steps and hours are not published.
Hardware: published layout for 14B: 128 GPUs as ulysses 8 x ring 2, FSDP 32, data 4.
Counts: 4,999,787,712 parameters (exact).
Unverified: everything in config.assumed, and the share of rows that are given a frame.
Needs: latents of the release's own autoencoder, which this project does not hold yet; of text
encoders it reads T5's, UMT5's, ByT5's and CLIP's weights (README).
On our own latents and captions the same trunk trains with
--config.model.latent_channels=16 --config.model.text_dim=384.
Command:
  python -m videogen.train --config=configs/wan2_2_ti2v_5b.py \
      --workdir=runs/wan2_2_ti2v_5b --config.data.path=DATASET
"""

from ml_collections import config_dict

from configs import wan2_1_t2v_14b


def get_config() -> config_dict.ConfigDict:
    """Wan2.2 TI2V 5B at 704p."""
    config = wan2_1_t2v_14b.get_config()
    config.model.name = "wan2_2_ti2v_5b"
    ours = "as Wan2.1's; the recipe of 2.2 is not published"
    config.published = {"sample": "Wan-Video/Wan2.2 wan/configs"}
    config.assumed = config.assumed.to_dict() | {"optimizer": ours, "plateau": ours}
    del config.assumed.sample
    config.time.update({"clean_frames": 1, "clean_rows": 0.5})
    return config
