"""Latte-1 T2V.

What: text to video by pairs of a spatial and a temporal block; text in the spatial ones.

Source: arXiv 2401.03048; Vchitect/Latte.
Recipe: not published for text.
Hardware: not published.
Counts: 1,057,246,880 parameters (exact).
Unverified: the recipe.
Needs: latents of the release's own autoencoder, which this project does not hold yet; of text
encoders it reads T5's, UMT5's, ByT5's and CLIP's weights (README).
On our own latents and captions the same trunk trains with
--config.model.latent_channels=16 --config.model.text_dim=384.
Command:
  python -m videogen.train --config=configs/latte_1.py \
      --workdir=runs/latte_1 --config.data.path=DATASET
"""

from ml_collections import config_dict

from configs import pretraining


def get_config() -> config_dict.ConfigDict:
    """Latte-1 T2V."""
    config = pretraining.get_config()
    config.model = {"name": "latte_1", "remat": "attention", "dtype": "bfloat16"}
    config.objective = {
        "path": "ddpm",
        "predict": "noise",
        "told": "step",
        "learn_sigma": True,
    }
    config.time = {"kind": "uniform"}
    config.sample.update({"guidance": 7.5})
    config.assumed = {
        "sample": "not checked",
        "time": "as Latte-XL/2",
        "optimizer": "not published",
        "data": {"global_batch": "not published", "text_dropout": "not stated"},
        "train": {"steps": "not published"},
        "objective": "as Latte-XL/2",
    }
    return config
