"""Cosmos-Predict2 2B Video2World.

What: the rest of a video from its first one or two latent frames, which are given clean.

Source: nvidia-cosmos/cosmos-predict2, configs/base.
Recipe: the code's defaults: FusedAdamW 1e-4, decay 0.1, (0.9, 0.99), warm-up 1000 then
constant, bfloat16; text dropout 0.2.
Hardware: not stated.
Counts: 1,956,413,440 parameters (exact).
Unverified: the recipe of the release itself; 5 % of high noise is not drawn here.
Needs: latents of the release's own autoencoder, which this project does not hold yet; of text
encoders it reads T5's, UMT5's, ByT5's and CLIP's weights (README).
On our own latents and captions the same trunk trains with
--config.model.text_dim=384.
Command:
  python -m videogen.train --config=configs/cosmos2_2b_video2world.py \
      --workdir=runs/cosmos2_2b_video2world --config.data.path=DATASET
"""

from ml_collections import config_dict

from configs import pretraining


def get_config() -> config_dict.ConfigDict:
    """Cosmos-Predict2 2B Video2World."""
    config = pretraining.get_config()
    config.model = {
        "name": "cosmos2_2b_video2world",
        "remat": "attention",
        "dtype": "bfloat16",
    }
    config.time = {"shift_frames": True, "clean_frames": 2}
    config.sample.update({"num_steps": 35, "schedule": "karras", "method": "heun"})
    config.optimizer.update(
        {"learning_rate": 0.0001, "b2": 0.99, "weight_decay": 0.1, "warmup_steps": 1000}
    )
    config.data.update({"text_dropout": 0.2})
    config.published = {
        "optimizer": {
            "learning_rate": "configs/base",
            "b1": "configs/base",
            "b2": "configs/base",
            "weight_decay": "configs/base",
            "warmup_steps": "configs/base",
            "schedule": "configs/base: constant",
        },
        "data": {"text_dropout": "configs/base"},
        "time": {
            "clean_frames": "configs/base: one or two",
            "shift_frames": "configs/base: adjust_video_noise",
        },
    }
    config.assumed = {
        "optimizer": "eps and clip: not stated; theirs is a power average of rate 0.1",
        "sample": "as Predict1: 35 steps of Heun's method",
        "data": {"global_batch": "not stated"},
        "train": {"steps": "not stated"},
    }
    return config
