"""Open-Sora 1.2.

What: text to video by pairs of a spatial and a temporal block, from PixArt-Sigma's weights;
frames may be given.

Source: hpcaitech/Open-Sora v1.2.0, docs/report_03.md.
Recipe: 1e-4 with warm-up 1000, Adam eps 1e-15, clip 1, EMA 0.99, bfloat16; WebVid 30k
steps, Panda 23k, 2M clips 15k; a quarter of the clips with given frames.
Hardware: 12 x 8 H100, about 35,000 hours.
Counts: 1,207,643,972 parameters (exact).
Unverified: batch sizes are those of buckets; the one here is ours.
Needs: latents of the release's own autoencoder, which this project does not hold yet; of text
encoders it reads T5's, UMT5's, ByT5's and CLIP's weights (README).
On our own latents and captions the same trunk trains with
--config.model.latent_channels=16 --config.model.text_dim=384.
Command:
  python -m videogen.train --config=configs/open_sora_1_2.py \
      --workdir=runs/open_sora_1_2 --config.data.path='DATASETS/{stage}'
"""

from ml_collections import config_dict

from configs import pretraining


def get_config() -> config_dict.ConfigDict:
    """Open-Sora 1.2."""
    config = pretraining.get_config()
    config.model = {"name": "open_sora_1_2", "remat": "attention", "dtype": "bfloat16"}
    config.objective = {"sign": -1}
    config.time = {
        "shift_rule": "sqrt",
        "shift_tokens": (1024, 4096),
        "shift_frames": True,
    }
    config.sample.update({"guidance": 7.0, "num_steps": 30})
    config.optimizer.update(
        {
            "learning_rate": 0.0001,
            "eps": 1e-15,
            "clip_norm": 1.0,
            "ema_decay": 0.99,
            "warmup_steps": 1000,
            "weight_decay": 0.0,
        }
    )
    config.data.update({"text_dropout": 0.1})
    config.stages = (
        {"name": "webvid", "steps": 30_000},
        {"name": "panda", "steps": 23_000},
        {"name": "best_2m", "steps": 15_000},
    )
    config.train.update({"steps": sum(stage["steps"] for stage in config.stages)})
    config.published = {
        "optimizer": "report_03",
        "data": {"text_dropout": "class_dropout 0.1"},
        "stages": "report_03",
        "train": {"steps": "report_03"},
        "objective": "opensora/schedulers/rf",
        "time": "opensora/schedulers/rf",
    }
    config.assumed = {
        "sample": "not checked",
        "data": {"global_batch": "buckets have their own"},
    }
    return config
