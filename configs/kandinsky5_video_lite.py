"""Kandinsky 5 Video Lite 2B.

What: text and image to video; a refiner of the text, one vector of the caption, blocks of
three gated branches.

Source: Kandinsky 5.0 technical report, Table 4.
Recipe: images 220k steps batch 8192 at 1e-4; T2V and I2V low 10k, 2662, 6e-5; middle 5 s
50k, 1331, 3e-5; middle 10 s 10k, 665, 3e-5; AdamW (0.9, 0.95), clip 1, EMA 0.9999, dropout
0.1.
Hardware: not stated.
Counts: 2,007,702,848 parameters with, 2,007,580,992 without the channels of what is given
(exact).
Unverified: which times are drawn; full attention, also where the release runs NABLA.
Needs: latents of the release's own autoencoder, which this project does not hold yet; of text
encoders it reads T5's, UMT5's, ByT5's and CLIP's weights (README).
Command:
  python -m videogen.train --config=configs/kandinsky5_video_lite.py \
      --workdir=runs/kandinsky5_video_lite --config.data.path='DATASETS/{stage}'
"""

from ml_collections import config_dict

from configs import pretraining

DECAY = {"optimizer.weight_decay": 0.001}  # of the stages of videos


def get_config() -> config_dict.ConfigDict:
    """Kandinsky 5 Video Lite 2B."""
    config = pretraining.get_config()
    config.model = {
        "name": "kandinsky5_video_lite",
        "remat": "attention",
        "dtype": "bfloat16",
    }
    config.optimizer.update(
        {
            "learning_rate": 1e-4,
            "b2": 0.95,
            "weight_decay": 0.0,
            "clip_norm": 1.0,
            "ema_decay": 0.9999,
        }
    )
    config.tasks = {"t2v": 1.0, "i2v": 1.0, "how": "channels", "mask_first": False}
    config.data.update({"global_batch": 8192, "text_dropout": 0.1})
    config.stages = (
        {"name": "images_256", "steps": 220_000, "tasks.i2v": 0.0},
        pretraining.stage("video_256", 10_000, 2662, 6e-5, **DECAY),
        pretraining.stage("video_512_5s", 50_000, 1331, 3e-5, **DECAY),
        pretraining.stage("video_512_10s", 10_000, 665, 3e-5, **DECAY),
    )
    config.train.update({"steps": sum(stage["steps"] for stage in config.stages)})
    config.published = {
        "optimizer": "Table 4",
        "data": "Table 4",
        "stages": "Table 4",
        "train": {"steps": "Table 4"},
    }
    config.assumed = {
        "sample": "not checked",
        "time": "logit-normal",
        "tasks": "their shares are not stated",
    }
    return config
