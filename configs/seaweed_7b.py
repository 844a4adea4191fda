"""Seaweed-7B, approximate.

What: a hybrid-stream MM-DiT whose deeper two thirds share the MLP of both streams.

Source: arXiv 2504.08685.
Recipe: steps: 37.5 % images of 256 px, 25 % 256p, 25 % 480p, 12.5 % 720p; a fifth from an
image; 665,000 H100 hours.
Hardware: H100, MFU 38 %, FSDP and Ulysses.
Counts: 7.79B parameters here; 7B published.
Unverified: heads, MLP, norm of q and k: `videogen models seaweed_7b`.
Needs: latents of the release's own autoencoder, which this project does not hold yet; of text
encoders it reads T5's, UMT5's, ByT5's and CLIP's weights (README).
On our own latents and captions the same trunk trains with
--config.model.latent_channels=16 --config.model.text_dim=384.
Command:
  python -m videogen.train --config=configs/seaweed_7b.py \
      --workdir=runs/seaweed_7b --config.data.path=DATASET
"""

from ml_collections import config_dict

from configs import pretraining


def get_config() -> config_dict.ConfigDict:
    """Seaweed-7B, approximate."""
    config = pretraining.get_config()
    config.model = {"name": "seaweed_7b", "remat": "attention", "dtype": "bfloat16"}
    config.assumed = {
        "sample": "not published",
        "data": "not published",
        "model": "see `videogen models seaweed_7b`",
        "objective": "flow",
        "time": "logit-normal",
        "optimizer": "not published",
        "train": {"steps": "not published"},
    }
    return config
