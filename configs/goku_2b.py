"""Goku 2B, approximate.

What: as Goku 8B.

Source: arXiv 2502.04896.
Recipe: not published.
Hardware: not published.
Counts: 2.0B parameters here, 2B published.
Unverified: as Goku 8B.
Needs: latents of the release's own autoencoder, which this project does not hold yet; of text
encoders it reads T5's, UMT5's, ByT5's and CLIP's weights (README).
On our own latents and captions the same trunk trains with
--config.model.text_dim=384.
Command:
  python -m videogen.train --config=configs/goku_2b.py \
      --workdir=runs/goku_2b --config.data.path=DATASET
"""

from ml_collections import config_dict

from configs import goku_8b


def get_config() -> config_dict.ConfigDict:
    """Goku 2B, approximate."""
    config = goku_8b.get_config()
    config.model.name = "goku_2b"
    config.assumed.model = "see `videogen models goku_2b`"
    return config
