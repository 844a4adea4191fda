"""MAGI-1 24B.

What: video chunk after chunk of 24 frames: attention is causal across chunks, and each
chunk has a noise level of its own, later ones the noisier.

Source: arXiv 2505.13211, Table 2 and section 2.2; SandAI-org/MAGI-1 inference/model/dit.
Recipe: AdamW (0.9, 0.95), decay 0.1, peak 1e-4, constant in stages 1 and 2, cut on a
plateau in stage 3 down to 1e-5; 360p and images, 480p, then 720p up to 16 s.
Hardware: not published.
Counts: 23,899,281,936 parameters, by the authors' code (exact).
Unverified: one caption for the whole video, where the release gives each chunk its own; the
share of clean chunks.
Needs: latents of the release's own autoencoder, which this project does not hold yet; of text
encoders it reads T5's, UMT5's, ByT5's and CLIP's weights (README).
On our own latents and captions the same trunk trains with
--config.model.text_dim=384.
Command:
  python -m videogen.train --config=configs/magi_1_24b.py \
      --workdir=runs/magi_1_24b --config.data.path=DATASET
"""

from ml_collections import config_dict

from configs import magi_1_4_5b


def get_config() -> config_dict.ConfigDict:
    """MAGI-1 24B."""
    config = magi_1_4_5b.get_config()
    config.model.name = "magi_1_24b"
    config.optimizer.warmup_steps = 10000
    return config
