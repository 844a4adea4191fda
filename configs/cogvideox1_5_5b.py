"""CogVideoX1.5-5B.

What: text to video: text and video are one sequence through the same weights, with norms of
their own; v prediction with zero terminal SNR.

Source: arXiv 2408.06072, Tables 5 and 6; THUDM/CogVideo sat/.
Recipe: batch 2000 at 256 x 384, 6 s, 400k steps; 1000 at 480 x 720, 6 s, 220k; 250 at 768 x
1360, 10 s, 120k; 100 on the best fifth, 10k. Adam (0.9, 0.95), decay 1e-4, clip 1, cosine.
Hardware: not stated; a forward step took 0.41 s (256 px) to 9.6 s (768 px) on an H800.
Counts: 5,570,676,352 parameters (exact).
Unverified: the peak learning rate; everything in config.assumed.
Needs: latents of the release's own autoencoder, which this project does not hold yet; of text
encoders it reads T5's, UMT5's, ByT5's and CLIP's weights (README).
On our own latents and captions the same trunk trains with
--config.model.text_dim=384.
Command:
  python -m videogen.train --config=configs/cogvideox1_5_5b.py \
      --workdir=runs/cogvideox1_5_5b --config.data.path='DATASETS/{stage}'
"""

from ml_collections import config_dict

from configs import cogvideox_5b


def get_config() -> config_dict.ConfigDict:
    """CogVideoX1.5-5B."""
    config = cogvideox_5b.get_config()
    config.model.name = "cogvideox1_5_5b"
    return config
