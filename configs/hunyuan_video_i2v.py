"""HunyuanVideo I2V at 720p

What: image to video: the first frame's tokens hold its clean latent and are modulated as at
t = 0.

Source: Tencent/HunyuanVideo-I2V.
Recipe: as HunyuanVideo; not published.
Hardware: not published.
Counts: 12,821,012,544 parameters (exact).
Unverified: everything in config.assumed.
Needs: latents of the release's own autoencoder and embeddings of its text encoder, which
this project does not hold yet; the same network trains on our own
(--config.data.tokenizer=linear --config.data.text_encoder=minilm
--config.model.text_dim=384).
Command:
  python -m videogen.train --config=configs/hunyuan_video_i2v.py \
      --workdir=runs/hunyuan_video_i2v --config.data.path=DATASET
"""

from ml_collections import config_dict

from configs import pretraining


def get_config() -> config_dict.ConfigDict:
    """HunyuanVideo I2V at 720p."""
    config = pretraining.get_config()
    config.model = {
        "name": "hunyuan_video_i2v",
        "remat": "attention",
        "dtype": "bfloat16",
    }
    config.sample.update({"shift": 7.0})
    config.assumed = {
        "data": {"global_batch": "not published", "text_dropout": "not stated"},
        "optimizer": "not published",
        "train": {"steps": "not published"},
        "time": "logit-normal is stated, its mean and deviation are not",
    }
    return config
