"""HunyuanVideo 1.5

What: text or image to video by 54 blocks of two streams; Qwen2.5-VL, ByT5 (glyphs) and
SigLIP conditions.

Source: Tencent-Hunyuan/HunyuanVideo-1.5.
Recipe: not published.
Hardware: not published.
Counts: 8,326,608,160 parameters (exact).
Unverified: everything in config.assumed; full attention, also where the release runs a
sparse one.
Needs: latents of the release's own autoencoder and embeddings of its text encoder, which
this project does not hold yet; the same network trains on our own
(--config.data.tokenizer=linear --config.data.text_encoder=minilm
--config.model.text_dim=384).
Command:
  python -m videogen.train --config=configs/hunyuan_video_1_5.py \
      --workdir=runs/hunyuan_video_1_5 --config.data.path=DATASET
"""

from ml_collections import config_dict

from configs import pretraining


def get_config() -> config_dict.ConfigDict:
    """HunyuanVideo 1.5."""
    config = pretraining.get_config()
    config.model = {
        "name": "hunyuan_video_1_5",
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
