"""DiT-L/2 on ImageNet 256 x 256.

What: class-conditional images, noise prediction with a learned variance; a video of one
frame.

Source: arXiv 2212.09748; facebookresearch/DiT.
Recipe: AdamW 1e-4 constant without warm-up or decay, batch 256, EMA 0.9999, class dropout
0.1; 7M steps (400K for ablations).
Hardware: TPU v3-256 (JAX, the paper).
Counts: 458,102,816 parameters with the fixed position table (exact).
Unverified: 512 x 512 took 3M steps, says the paper; not checked here.
Needs: latents of the Stable Diffusion autoencoder (x 0.18215), with a `label` a clip, which
this project does not hold yet. On our own latents and captions the same trunk trains with
--config.model.latent_channels=16 --config.model.out_channels=32.
Command:
  python -m videogen.train --config=configs/dit_l_2.py \
      --workdir=runs/dit_l_2 --config.data.path=DATASET
"""

from ml_collections import config_dict

from configs import dit_xl_2


def get_config() -> config_dict.ConfigDict:
    """DiT-L/2 on ImageNet 256 x 256."""
    config = dit_xl_2.get_config()
    config.model.name = "dit_l_2"
    config.train.steps = 400000
    return config
