"""Open-Sora 2.0, 256 px.

What: text to video by FLUX.1's geometry, T5-XXL's tokens and CLIP-L's vector; stage 1 of
three.

Source: arXiv 2503.09642, Table 3; hpcaitech/Open-Sora configs/diffusion/train.
Recipe: 256 px T2V 85k steps at 5e-5 on 70M clips; 256 px T/I2V 13k at 1e-5 on 10M; 768 px
T/I2V 13k on 5M. HybridAdam eps 1e-15, no weight decay, clip 1, no EMA, from FLUX's weights.
Hardware: 224 H200 (stage 1), 192 (stages 2 and 3); 4,160 GPU days in all.
Counts: 11,891,178,560 parameters (exact).
Unverified: the batch here: the release has a batch for every length (45 images to 3 clips
of 129 frames a GPU).
Needs: latents of the release's own autoencoder, which this project does not hold yet; of text
encoders it reads T5's, UMT5's, ByT5's and CLIP's weights (README).
On our own latents and captions the same trunk trains with
--config.model.text_dim=384 --config.model.pooled_dim=0.
Command:
  python -m videogen.train --config=configs/open_sora_2.py \
      --workdir=runs/open_sora_2 --config.data.path='DATASETS/{stage}'
"""

from ml_collections import config_dict

from configs import pretraining


def get_config() -> config_dict.ConfigDict:
    """Open-Sora 2.0, 256 px."""
    config = pretraining.get_config()
    config.model = {"name": "open_sora_2", "remat": "attention", "dtype": "bfloat16"}
    config.objective = {"sigma_min": 1e-05}
    config.time = {"shift_rule": "linear", "shift_frames": True}
    config.optimizer.update(
        {
            "learning_rate": 5e-05,
            "weight_decay": 0.0,
            "eps": 1e-15,
            "clip_norm": 1.0,
            "ema_decay": 0.0,
            "warmup_steps": 1,
        }
    )
    config.data.update({"global_batch": 1024, "text_dropout": 0.1})
    config.stages = (
        {"name": "256px_t2v", "steps": 85_000},
        {"name": "256px_ti2v", "steps": 13_000, "optimizer.learning_rate": 1e-5},
        {"name": "768px_ti2v", "steps": 13_000},
    )
    config.train.update({"steps": sum(stage["steps"] for stage in config.stages)})
    config.published = {
        "optimizer": {
            "learning_rate": "configs/diffusion/train/stage1.py",
            "weight_decay": "configs/diffusion/train",
            "eps": "configs/diffusion/train",
            "clip_norm": "configs/diffusion/train",
            "ema_decay": "none",
        },
        "stages": "arXiv 2503.09642, Table 3; configs/diffusion/train",
        "train": {"steps": "arXiv 2503.09642, Table 3"},
        "objective": {"sigma_min": "opensora/utils/train"},
        "time": "configs/diffusion/train/image.py",
    }
    config.assumed = {
        "sample": "not checked",
        "data": {
            "global_batch": "buckets have their own",
            "text_dropout": "T5 and CLIP 0.3162 each, on their own",
        },
        "optimizer": {
            "warmup_steps": "not stated",
            "b1": "not stated",
            "b2": "not stated",
            "schedule": "not stated",
        },
    }
    return config
