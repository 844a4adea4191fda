"""Wan2.1 T2V 14B at 720p.

What: text to video, 81 frames of 720 x 1280 (75,600 tokens).

Source: arXiv 2503.20314 (Wan), sections 4.2 and 4.3; Wan-Video repositories, wan/configs.
Recipe: AdamW, weight decay 1e-3, learning rate 1e-4 reduced on a plateau, bfloat16; images
of 256 px, then images with 5 s at 192 px (16 fps), then 480 px, then 720 px, then both.
Batches, steps and hours are not published.
Hardware: published layout for 14B: 128 GPUs as ulysses 8 x ring 2, FSDP 32, data 4.
Counts: 14,288,491,584 parameters (exact), 19.6 PFLOP a training sample.
Unverified: everything in config.assumed.
Needs: latents of the release's own autoencoder, which this project does not hold yet; of text
encoders it reads T5's, UMT5's, ByT5's and CLIP's weights (README).
On our own latents and captions the same trunk trains with
--config.model.text_dim=384.
Command:
  python -m videogen.train --config=configs/wan2_1_t2v_14b.py \
      --workdir=runs/wan2_1_t2v_14b --config.data.path=DATASET
"""

from ml_collections import config_dict

from configs import pretraining


def get_config() -> config_dict.ConfigDict:
    """Wan2.1 T2V 14B at 720p."""
    config = pretraining.get_config()
    config.model = {"name": "wan2_1_t2v_14b", "remat": "attention", "dtype": "bfloat16"}
    config.plateau = {"factor": 0.5, "patience": 5, "least": 1e-06}
    config.sample.update({"shift": 5.0, "guidance": 5.0})
    config.optimizer.update({"learning_rate": 0.0001, "weight_decay": 0.001})
    config.published = {
        "optimizer": {
            "learning_rate": "arXiv 2503.20314, section 4.3",
            "weight_decay": "arXiv 2503.20314, section 4.3",
        },
        "sample": {"shift": "Wan-Video/Wan2.1"},
        "plateau": "arXiv 2503.20314: on a plateau of FID and CLIP; here of the loss",
    }
    config.assumed = {
        "sample": "guidance and steps: not checked",
        "data": {
            "global_batch": "not published per stage",
            "text_dropout": "not stated",
        },
        "optimizer": {
            "warmup_steps": "not stated",
            "schedule": "constant, but for the plateau",
            "b1": "not stated",
            "eps": "not stated",
            "b2": "not stated",
            "ema_decay": "not stated",
            "clip_norm": "not stated",
        },
        "time": "logit-normal is stated, its mean and deviation are not",
        "train": {"steps": "not published per stage"},
    }
    return config
