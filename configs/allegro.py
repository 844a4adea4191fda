"""Allegro 2.8B.

What: text to video, 88 frames of 720 x 1280 (79,200 tokens).

Source: arXiv 2410.15458; rhymes-ai/Allegro. The stages are from secondary notes.
Recipe: images 128 x H100 batch 4096 170k; 40 x 368 x 640 on 256 x H100 batch 1024 85k; 40 x
720 x 1280 batch 512 41k; 88 x 720 x 1280 batch 256 31k; fine-tuning 256, 10k.
Hardware: 128 to 256 H100.
Counts: 2,771,907,856 parameters (exact).
Unverified: the whole recipe; the scale of its autoencoder is 0.13 in code and 0.13235 in a
docstring.
Needs: latents of the release's own autoencoder, which this project does not hold yet; of text
encoders it reads T5's, UMT5's, ByT5's and CLIP's weights (README).
On our own latents and captions the same trunk trains with
--config.model.latent_channels=16 --config.model.text_dim=384.
Command:
  python -m videogen.train --config=configs/allegro.py \
      --workdir=runs/allegro --config.data.path='DATASETS/{stage}'
"""

from ml_collections import config_dict

from configs import pretraining


def get_config() -> config_dict.ConfigDict:
    """Allegro 2.8B."""
    config = pretraining.get_config()
    config.model = {"name": "allegro", "remat": "attention", "dtype": "bfloat16"}
    config.objective = {"path": "ddpm", "predict": "noise", "told": "step"}
    config.time = {"kind": "uniform"}
    config.sample.update({"guidance": 7.5, "num_steps": 100})
    config.data.update({"global_batch": 4096})
    config.stages = (
        {"name": "images", "steps": 170_000},
        {"name": "40x368x640", "steps": 85_000, "data.global_batch": 1024},
        {"name": "40x720x1280", "steps": 41_000, "data.global_batch": 512},
        {"name": "88x720x1280", "steps": 31_000, "data.global_batch": 256},
        {"name": "fine_tuning", "steps": 10_000, "data.global_batch": 256},
    )
    config.train.update({"steps": sum(stage["steps"] for stage in config.stages)})
    config.assumed = {
        "sample": "not checked",
        "data": {"global_batch": "secondary notes", "text_dropout": "not stated"},
        "stages": "secondary notes",
        "train": {"steps": "secondary notes"},
        "objective": "betas from 1e-4 to 0.02",
        "time": "not checked",
        "optimizer": "not checked",
    }
    return config
