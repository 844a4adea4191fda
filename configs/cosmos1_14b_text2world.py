"""Cosmos-Predict1 14B Text2World.

What: text to video, 121 frames of 704 x 1280 (56,320 tokens), EDM's denoiser with a learned
uncertainty.

Source: arXiv 2501.03575, Tables 12 and 13; nvidia-cosmos/cosmos-predict1.
Recipe: AdamW (0.9, 0.99), eps 1e-10, warm-up 2500; 640 x 512 x 57 frames, then 1280 x 704 x
121, then a fine-tuning of about 10k steps with linear decay. Loss times 10, no text
dropout.
Hardware: 10,000 H100 for three months, for the whole family; FSDP 64, CP 2 to 8.
Counts: 14,267,149,312 parameters (exact).
Unverified: batches and steps of a stage.
Needs: latents of the release's own autoencoder, which this project does not hold yet; of text
encoders it reads T5's, UMT5's, ByT5's and CLIP's weights (README).
On our own latents and captions the same trunk trains with
--config.model.text_dim=384.
Command:
  python -m videogen.train --config=configs/cosmos1_14b_text2world.py \
      --workdir=runs/cosmos1_14b_text2world --config.data.path=DATASET
"""

from ml_collections import config_dict

from configs import cosmos1_7b_text2world


def get_config() -> config_dict.ConfigDict:
    """Cosmos-Predict1 14B Text2World."""
    config = cosmos1_7b_text2world.get_config()
    config.model.name = "cosmos1_14b_text2world"
    config.optimizer.update({"learning_rate": 1.52587890625e-05, "weight_decay": 0.2})
    return config
