"""HunyuanVideo T2V at 720p.

What: text to video, 129 frames of 720 x 1280 (118,800 tokens); 20 blocks of two streams, 40
of one.

Source: arXiv 2412.03603; Tencent/HunyuanVideo hyvideo/.
Recipe: images of 256 px, then of 256 and 512 px; video short and low, long and low, then
high, images joined at every stage. Rates, batches and steps are not published.
Hardware: not published.
Counts: 12,810,782,784 parameters without, 12,821,012,544 with the embedding of guidance
that the release has (exact).
Unverified: everything in config.assumed.
Needs: latents of the release's own autoencoder, which this project does not hold yet; of text
encoders it reads T5's, UMT5's, ByT5's and CLIP's weights (README).
On our own latents and captions the same trunk trains with
--config.model.text_dim=384 --config.model.pooled_dim=0.
Command:
  python -m videogen.train --config=configs/hunyuan_video.py \
      --workdir=runs/hunyuan_video --config.data.path=DATASET
"""

from ml_collections import config_dict

from configs import pretraining


def get_config() -> config_dict.ConfigDict:
    """HunyuanVideo T2V at 720p."""
    config = pretraining.get_config()
    config.model = {
        "name": "hunyuan_video_no_guidance",
        "remat": "attention",
        "dtype": "bfloat16",
    }
    config.sample.update({"shift": 7.0, "guidance": 6.0})
    config.published = {"sample": {"shift": "arXiv 2412.03603"}}
    config.assumed = {
        "sample": "guidance and steps: not checked",
        "data": {"global_batch": "not published", "text_dropout": "not stated"},
        "optimizer": "not published",
        "train": {"steps": "not published"},
        "time": "logit-normal is stated, its mean and deviation are not",
    }
    return config
