"""LTX-Video 2B.

What: text and image to video, 121 frames of 512 x 768 in 6,144 tokens, each a latent pixel
of 8 x 32 x 32.

Source: arXiv 2501.00103; Lightricks/LTX-Video, LTX-Video-Trainer.
Recipe: rectified flow with a logit-normal whose mean grows from 0.95 to 2.05 over 1,024 to
4,096 tokens, cut at the quantiles 0.5 % and 99.9 %. The rest is not published.
Hardware: not published.
Counts: 1,923,385,472 parameters (exact).
Unverified: everything in config.assumed.
Needs: latents of the release's own autoencoder, which this project does not hold yet; of text
encoders it reads T5's, UMT5's, ByT5's and CLIP's weights (README).
On our own latents and captions the same trunk trains with
--config.model.latent_channels=16 --config.model.text_dim=384.
Command:
  python -m videogen.train --config=configs/ltx_video_2b.py \
      --workdir=runs/ltx_video_2b --config.data.path=DATASET
"""

from ml_collections import config_dict

from configs import pretraining


def get_config() -> config_dict.ConfigDict:
    """LTX-Video 2B."""
    config = pretraining.get_config()
    config.model = {"name": "ltx_video_2b", "remat": "attention", "dtype": "bfloat16"}
    config.time = {
        "shift_rule": "exp",
        "shift_tokens": (1024, 4096),
        "shift_range": (0.95, 2.05),
        "clamp": (0.005, 0.999),
    }
    config.sample.update({"guidance": 3.0})
    config.published = {"time": "arXiv 2501.00103; the cut is from secondary notes"}
    config.assumed = {
        "sample": "not checked",
        "optimizer": "not published",
        "data": {"global_batch": "not published", "text_dropout": "not stated"},
        "train": {"steps": "not published"},
    }
    return config
