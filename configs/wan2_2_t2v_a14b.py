"""Wan2.2 T2V A14B, one of its two experts

What: text to video by two networks of Wan2.1 14B's size, switched at the noise level t =
0.875: each is trained on its own side. This config trains the high-noise one;
--config.time.within='(0.0,0.875)' the other.

Source: arXiv 2503.20314 (Wan), sections 4.2 and 4.3; Wan-Video repositories, wan/configs.
Recipe: AdamW, weight decay 1e-3, learning rate 1e-4 reduced on a plateau, bfloat16; images
of 256 px, then images with 5 s at 192 px (16 fps), then 480 px, then 720 px, then both.
Batches, steps and hours are not published.
Hardware: published layout for 14B: 128 GPUs as ulysses 8 x ring 2, FSDP 32, data 4.
Counts: 2 x 14,288,491,584 parameters (exact), one active.
Unverified: everything in config.assumed; the boundary in training (0.875 is that of
sampling); the release trained on 65.6 % more images and 83.2 % more videos than 2.1.
Needs: latents of the release's own autoencoder and embeddings of its text encoder, which
this project does not hold yet; the same network trains on our own
(--config.data.tokenizer=linear --config.data.text_encoder=minilm
--config.model.text_dim=384).
Command:
  python -m videogen.train --config=configs/wan2_2_t2v_a14b.py \
      --workdir=runs/wan2_2_t2v_a14b --config.data.path=DATASET
"""

from ml_collections import config_dict

from configs import pretraining


def get_config() -> config_dict.ConfigDict:
    """Wan2.2 T2V A14B, one of its two experts."""
    config = pretraining.get_config()
    config.model = {
        "name": "wan2_2_t2v_a14b",
        "remat": "attention",
        "dtype": "bfloat16",
    }
    config.time = {"within": (0.875, 1.0)}
    config.plateau = {"factor": 0.5, "patience": 5, "least": 1e-06}
    config.sample.update({"shift": 12.0, "guidance": 5.0})
    config.optimizer.update({"learning_rate": 0.0001, "weight_decay": 0.001})
    config.published = {
        "optimizer": {
            "learning_rate": "arXiv 2503.20314, section 4.3",
            "weight_decay": "arXiv 2503.20314, section 4.3",
        },
        "plateau": "arXiv 2503.20314: on a plateau of FID and CLIP; here of the loss",
    }
    config.assumed = {
        "data": {
            "global_batch": "not published per stage",
            "text_dropout": "not stated",
        },
        "optimizer": {
            "warmup_steps": "not stated",
            "b2": "not stated",
            "ema_decay": "not stated",
            "clip_norm": "not stated",
        },
        "time": "logit-normal is stated, its mean and deviation are not",
        "train": {"steps": "not published per stage"},
    }
    return config
