"""Cosmos-Predict1 7B Text2World.

What: text to video, 121 frames of 704 x 1280 (56,320 tokens), EDM's denoiser with a learned
uncertainty.

Source: arXiv 2501.03575, Tables 12 and 13; nvidia-cosmos/cosmos-predict1.
Recipe: AdamW (0.9, 0.99), eps 1e-10, warm-up 2500; 640 x 512 x 57 frames, then 1280 x 704 x
121, then a fine-tuning of about 10k steps with linear decay. Loss times 10, no text
dropout.
Hardware: 10,000 H100 for three months, for the whole family; FSDP 64, CP 2 to 8.
Counts: 7,236,192,256 parameters (exact).
Unverified: batches and steps of a stage.
Needs: latents of the release's own autoencoder, which this project does not hold yet; of text
encoders it reads T5's, UMT5's, ByT5's and CLIP's weights (README).
On our own latents and captions the same trunk trains with
--config.model.text_dim=384.
Command:
  python -m videogen.train --config=configs/cosmos1_7b_text2world.py \
      --workdir=runs/cosmos1_7b_text2world --config.data.path=DATASET
"""

from ml_collections import config_dict

from configs import pretraining


def get_config() -> config_dict.ConfigDict:
    """Cosmos-Predict1 7B Text2World."""
    config = pretraining.get_config()
    config.model = {
        "name": "cosmos1_7b_text2world",
        "remat": "attention",
        "dtype": "bfloat16",
    }
    config.objective = {
        "path": "edm",
        "predict": "edm",
        "told": "log_sigma",
        "weight": "inverse_noise",
        "scale": 10.0,
        "learn_log_variance": True,
    }
    config.time = {"shift_frames": True}
    config.sample.update({"num_steps": 35, "schedule": "karras", "method": "heun"})
    config.optimizer.update(
        {
            "learning_rate": 3.0517578125e-05,
            "b2": 0.99,
            "eps": 1e-10,
            "weight_decay": 0.1,
            "warmup_steps": 2500,
        }
    )
    config.data.update({"text_dropout": 0.0})
    config.published = {
        "optimizer": {
            "learning_rate": "section 5.1.4",
            "b1": "section 5.1.4",
            "b2": "section 5.1.4",
            "eps": "section 5.1.4",
            "weight_decay": "section 5.1.4",
            "warmup_steps": "section 5.1.4",
        },
        "objective": "section 5.1",
        "time": {"shift_frames": "section 5.1: sigma by the root of the frames"},
        "data": {"text_dropout": "none"},
    }
    config.assumed = {
        "optimizer": "clip and decay of the average: not stated; the rate stays constant",
        "data": {"global_batch": "not stated"},
        "train": {"steps": "not stated"},
        "sample": "35 steps of Heun's method",
    }
    return config
