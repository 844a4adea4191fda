"""Open-Sora Plan 1.3.

What: text to video, 93 frames of 352 x 640; attention skips tokens in all layers but the
outer ones.

Source: arXiv 2412.00131; Report-v1.3.0.
Recipe: 1 x 320 x 320 100k steps, batch 1024, 2e-5; 93 x 320 x 320 300k, 1024, 2e-5; 93 x
352 x 640 30k, 1024, 1e-5; EMA 0.9999, min-SNR 5.
Hardware: Ascend 910B.
Counts: 2,771,981,600 parameters (exact).
Unverified: uniform time and the betas.
Needs: latents of the release's own autoencoder, which this project does not hold yet; of text
encoders it reads T5's, UMT5's, ByT5's and CLIP's weights (README).
On our own latents and captions the same trunk trains with
--config.model.latent_channels=16 --config.model.text_dim=384.
Command:
  python -m videogen.train --config=configs/open_sora_plan_1_3.py \
      --workdir=runs/open_sora_plan_1_3 --config.data.path='DATASETS/{stage}'
"""

from ml_collections import config_dict

from configs import pretraining


def get_config() -> config_dict.ConfigDict:
    """Open-Sora Plan 1.3."""
    config = pretraining.get_config()
    config.model = {
        "name": "open_sora_plan_1_3",
        "remat": "attention",
        "dtype": "bfloat16",
    }
    config.objective = {
        "path": "ddpm",
        "predict": "v",
        "told": "step",
        "weight": "min_snr",
        "zero_terminal_snr": True,
    }
    config.time = {"kind": "uniform"}
    config.optimizer.update({"learning_rate": 2e-05, "ema_decay": 0.9999})
    config.data.update({"global_batch": 1024, "text_dropout": 0.1})
    config.stages = (
        {"name": "1x320x320", "steps": 100_000},
        {"name": "93x320x320", "steps": 300_000},
        {"name": "93x352x640", "steps": 30_000, "optimizer.learning_rate": 1e-5},
    )
    config.train.update({"steps": sum(stage["steps"] for stage in config.stages)})
    config.published = {
        "optimizer": {"learning_rate": "Report-v1.3.0", "ema_decay": "Report-v1.3.0"},
        "data": "Report-v1.3.0",
        "stages": "Report-v1.3.0",
        "train": {"steps": "Report-v1.3.0"},
        "objective": {"weight": "Report-v1.3.0", "gamma": "Report-v1.3.0"},
    }
    config.assumed = {
        "optimizer": "warm-up, b1, b2, eps, decay and clip: not stated",
        "sample": "not checked",
        "objective": "betas: not checked",
        "time": "not checked",
    }
    return config
