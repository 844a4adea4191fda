"""SiT-XL/2 on ImageNet 256 x 256.

What: DiT-XL/2's network with a velocity on the linear path.

Source: arXiv 2401.08740; willisma/SiT.
Recipe: as DiT-XL/2: AdamW 1e-4 constant, batch 256, EMA 0.9999, 7M steps.
Hardware: not stated.
Counts: 675,129,632 parameters with the fixed table (exact).
Unverified: whether time is embedded times 1000 (here: not).
Needs: latents of the Stable Diffusion autoencoder (x 0.18215), with a `label` a clip, which
this project does not hold yet. On our own latents and captions the same trunk trains with
--config.model.latent_channels=16 --config.model.out_channels=32.
Command:
  python -m videogen.train --config=configs/sit_xl_2.py \
      --workdir=runs/sit_xl_2 --config.data.path=DATASET
"""

from ml_collections import config_dict

from configs import dit_xl_2


def get_config() -> config_dict.ConfigDict:
    """SiT-XL/2 on ImageNet 256 x 256."""
    config = dit_xl_2.get_config()
    config.model.name = "sit_xl_2"
    config.objective = {"sign": -1, "told": "data_time", "told_scale": 0.001}
    config.published.update(
        {
            "train": {"steps": "willisma/SiT README"},
            "objective": "transport/",
            "time": "transport/",
        }
    )
    del config.published.sample
    config.assumed.sample = "as DiT"
    return config
