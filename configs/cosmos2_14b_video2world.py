"""Cosmos-Predict2 14B Video2World.

What: the rest of a video from its first one or two latent frames, which are given clean.

Source: nvidia-cosmos/cosmos-predict2, configs/base.
Recipe: the code's defaults: FusedAdamW 1e-4, decay 0.1, (0.9, 0.99), warm-up 1000 then
constant, bfloat16; text dropout 0.2.
Hardware: not stated.
Counts: 14,265,285,632 parameters (exact).
Unverified: the recipe of the release itself; 5 % of high noise is not drawn here.
Needs: latents of the release's own autoencoder, which this project does not hold yet; of text
encoders it reads T5's, UMT5's, ByT5's and CLIP's weights (README).
On our own latents and captions the same trunk trains with
--config.model.text_dim=384.
Command:
  python -m videogen.train --config=configs/cosmos2_14b_video2world.py \
      --workdir=runs/cosmos2_14b_video2world --config.data.path=DATASET
"""

from ml_collections import config_dict

from configs import cosmos2_2b_video2world


def get_config() -> config_dict.ConfigDict:
    """Cosmos-Predict2 14B Video2World."""
    config = cosmos2_2b_video2world.get_config()
    config.model.name = "cosmos2_14b_video2world"
    return config
