"""Goku 2B, approximate

What: as Goku 8B.

Source: arXiv 2502.04896.
Recipe: not published.
Hardware: not published.
Counts: 2.0B parameters here, 2B published.
Unverified: as Goku 8B.
Needs: latents of the release's own autoencoder and embeddings of its text encoder, which
this project does not hold yet; the same network trains on our own
(--config.data.tokenizer=linear --config.data.text_encoder=minilm
--config.model.text_dim=384).
Command:
  python -m videogen.train --config=configs/goku_2b.py \
      --workdir=runs/goku_2b --config.data.path=DATASET
"""

from ml_collections import config_dict

from configs import pretraining


def get_config() -> config_dict.ConfigDict:
    """Goku 2B, approximate."""
    config = pretraining.get_config()
    config.model = {"name": "goku_2b", "remat": "attention", "dtype": "bfloat16"}
    config.objective = {"sign": -1, "told": "data_time"}
    config.assumed = {
        "model": "see `videogen models goku_2b`",
        "time": "logit-normal",
        "optimizer": "not published",
        "train": {"steps": "not published"},
    }
    return config
