"""Goku 8B, approximate.

What: joint images and video by rectified flow; layers of attention, text, MLP, each with
its own modulation.

Source: arXiv 2502.04896.
Recipe: not published but for a pilot on ImageNet.
Hardware: not published.
Counts: 8.3B parameters here, 8B published.
Unverified: patch, channels, times, optimizer: `videogen models goku_8b` lists what is
assumed.
Needs: latents of the release's own autoencoder, which this project does not hold yet; of text
encoders it reads T5's, UMT5's, ByT5's and CLIP's weights (README).
On our own latents and captions the same trunk trains with
--config.model.text_dim=384.
Command:
  python -m videogen.train --config=configs/goku_8b.py \
      --workdir=runs/goku_8b --config.data.path=DATASET
"""

from ml_collections import config_dict

from configs import pretraining


def get_config() -> config_dict.ConfigDict:
    """Goku 8B, approximate."""
    config = pretraining.get_config()
    config.model = {"name": "goku_8b", "remat": "attention", "dtype": "bfloat16"}
    config.objective = {"sign": -1, "told": "data_time"}
    config.assumed = {
        "sample": "not published",
        "data": "not published",
        "objective": "rectified flow; sign and clock as the paper writes",
        "model": "see `videogen models goku_8b`",
        "time": "logit-normal",
        "optimizer": "not published",
        "train": {"steps": "not published"},
    }
    return config
