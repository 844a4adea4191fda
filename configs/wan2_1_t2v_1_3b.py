"""Wan2.1 T2V 1.3B at 480p.

What: text to video, 81 frames of 480 x 832 (32,760 tokens).

Source: arXiv 2503.20314 (Wan), sections 4.2 and 4.3; Wan-Video repositories, wan/configs.
Recipe: AdamW, weight decay 1e-3, learning rate 1e-4 reduced on a plateau, bfloat16; images
of 256 px, then images with 5 s at 192 px (16 fps), then 480 px, then 720 px, then both.
Batches, steps and hours are not published.
Hardware: published layout for 14B: 128 GPUs as ulysses 8 x ring 2, FSDP 32, data 4.
Counts: 1,418,996,800 parameters (exact), 849 TFLOP a training sample.
Unverified: everything in config.assumed.
Needs: latents of the release's own autoencoder, which this project does not hold yet; of text
encoders it reads T5's, UMT5's, ByT5's and CLIP's weights (README).
On our own latents and captions the same trunk trains with
--config.model.text_dim=384.
Command:
  python -m videogen.train --config=configs/wan2_1_t2v_1_3b.py \
      --workdir=runs/wan2_1_t2v_1_3b --config.data.path=DATASET
"""

from ml_collections import config_dict

from configs import wan2_1_t2v_14b


def get_config() -> config_dict.ConfigDict:
    """Wan2.1 T2V 1.3B at 480p."""
    config = wan2_1_t2v_14b.get_config()
    config.model.name = "wan2_1_t2v_1_3b"
    config.sample.shift = 8.0
    return config
