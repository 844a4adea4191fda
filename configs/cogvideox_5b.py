"""CogVideoX-5B.

What: text to video: text and video are one sequence through the same weights, with norms of
their own; v prediction with zero terminal SNR.

Source: arXiv 2408.06072, Tables 5 and 6; THUDM/CogVideo sat/.
Recipe: batch 2000 at 256 x 384, 6 s, 400k steps; 1000 at 480 x 720, 6 s, 220k; 250 at 768 x
1360, 10 s, 120k; 100 on the best fifth, 10k. Adam (0.9, 0.95), decay 1e-4, clip 1, cosine.
Hardware: not stated; a forward step took 0.41 s (256 px) to 9.6 s (768 px) on an H800.
Counts: 5,570,283,072 parameters (exact).
Unverified: the peak learning rate; everything in config.assumed.
Needs: latents of the release's own autoencoder, which this project does not hold yet; of text
encoders it reads T5's, UMT5's, ByT5's and CLIP's weights (README).
On our own latents and captions the same trunk trains with
--config.model.text_dim=384.
Command:
  python -m videogen.train --config=configs/cogvideox_5b.py \
      --workdir=runs/cogvideox_5b --config.data.path='DATASETS/{stage}'
"""

from ml_collections import config_dict

from configs import pretraining


def get_config() -> config_dict.ConfigDict:
    """CogVideoX-5B."""
    config = pretraining.get_config()
    config.model = {"name": "cogvideox_5b", "remat": "attention", "dtype": "bfloat16"}
    config.objective = {
        "path": "ddpm",
        "predict": "v",
        "told": "step",
        "weight": "inverse_noise",
        "betas": "scaled_linear",
        "beta_range": (0.00085, 0.012),
        "snr_shift": 1.0,
        "zero_terminal_snr": True,
    }
    config.time = {"kind": "uniform", "stratified": True}
    config.sample.update({"guidance": 6.0})
    config.optimizer.update(
        {
            "learning_rate": 0.0001,
            "b2": 0.95,
            "weight_decay": 0.0001,
            "clip_norm": 1.0,
            "eps": 1e-08,
        }
    )
    config.data.update({"global_batch": 2000, "text_dropout": 0.1})
    config.stages = (
        {"name": "256x384_6s", "steps": 400_000},
        {"name": "480x720_6s", "steps": 220_000, "data.global_batch": 1000},
        {"name": "768x1360_10s", "steps": 120_000, "data.global_batch": 250},
        {"name": "best_fifth", "steps": 10_000, "data.global_batch": 100},
    )
    config.train.update({"steps": sum(stage["steps"] for stage in config.stages)})
    config.published = {
        "objective": "THUDM/CogVideo sat/configs",
        "time": "arXiv 2408.06072, section 3.3",
        "optimizer": {
            "b1": "arXiv 2408.06072, Table 6",
            "b2": "Table 6",
            "eps": "Table 6",
            "weight_decay": "Table 6",
            "clip_norm": "Table 6",
        },
        "data": {
            "global_batch": "arXiv 2408.06072, Table 5",
            "text_dropout": "sat/configs: ucg 0.1",
        },
        "stages": "arXiv 2408.06072, Table 5",
        "train": {"steps": "Table 5"},
    }
    config.assumed = {
        "sample": "not checked",
        "optimizer": {
            "learning_rate": "the peak is in neither table",
            "warmup_steps": "not stated",
            "ema_decay": "not stated",
            "schedule": "cosine is stated, its end is not",
        },
    }
    return config
