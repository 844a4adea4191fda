"""Movie Gen Video 5B, the ablation.

What: text to video, 4 to 8 s at 192 x 352 (4,224 tokens).

Source: arXiv 2410.13720, section 3.6.
Recipe: images: learning rate 3e-4, batch 9216, 96k steps; images and video together (0.02 :
1): 5e-5, batch 4096 / 256, 100k steps; 21M videos.
Hardware: 512 H100.
Counts: core 4,831,838,208 if the MLP is 8192 wide (not stated).
Unverified: MLP width, optimizer, modulation: see config.assumed and `videogen models
movie_gen_5b`.
Needs: latents of the release's own autoencoder, which this project does not hold yet; of text
encoders it reads T5's, UMT5's, ByT5's and CLIP's weights (README).
On our own latents and captions the same trunk trains with
--config.model.text_dim=384 --config.model.more_text_dims="()".
Command:
  python -m videogen.train --config=configs/movie_gen_5b.py \
      --workdir=runs/movie_gen_5b --config.data.path=DATASET
"""

from ml_collections import config_dict

from configs import pretraining


def get_config() -> config_dict.ConfigDict:
    """Movie Gen Video 5B, the ablation."""
    config = pretraining.get_config()
    config.model = {"name": "movie_gen_5b", "remat": "attention", "dtype": "bfloat16"}
    config.objective = {"sign": -1, "told": "data_time", "sigma_min": 1e-05}
    config.sample.update(
        {"num_steps": 50, "schedule": "linear_quadratic", "guidance": 7.5}
    )
    config.optimizer.update({"learning_rate": 5e-05})
    config.data.update({"global_batch": 256})
    config.train.update({"steps": 100000})
    config.published = {
        "optimizer": {"learning_rate": "section 3.6"},
        "data": {"global_batch": "section 3.6"},
        "train": {"steps": "section 3.6"},
        "objective": "section 3.1.2",
        "sample": {
            "num_steps": "section 3.4.2",
            "schedule": "section 3.4.2",
            "guidance": "section 3.4.2",
        },
    }
    config.assumed = {
        "optimizer": {
            "b1": "not stated",
            "b2": "not stated",
            "eps": "not stated",
            "weight_decay": "not stated",
            "clip_norm": "not stated",
            "ema_decay": "not stated",
            "warmup_steps": "not stated",
            "schedule": "not stated",
        },
        "data": {"text_dropout": "not stated for video"},
        "model": "see `videogen models movie_gen_5b`",
    }
    return config
