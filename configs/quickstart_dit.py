"""Quickstart, by class: a tiny DiT that knows labels instead of captions.

What: the quickstart with the `dit` family (adaLN-zero, no cross-attention), conditioned on
a class, to show and test that the rest of the line does not ask which model it trains.
Clips without a label train the null class, so any dataset will do; a label is the
`label` of `name.json` beside `name.mp4`.

Source: DiT (arXiv 2212.09748), about DiT-S/2 at half its width and depth.
Hardware: two CPU cores.
Data: that of configs/quickstart.py, or a folder with labels:
  python -m data_pipelines all --videos=my/folder --out=data/mine
Command:
  python -m videogen.train --config=configs/quickstart_dit.py --workdir=runs/dit \
      --config.data.path=data/mine
"""

from ml_collections import config_dict

from configs import quickstart

NUM_CLASSES = 16


def get_config() -> config_dict.ConfigDict:
    """The quickstart with another family, sampled by label."""
    config = quickstart.get_config()
    config.model = {
        "family": "dit",
        "latent_channels": 16,
        "patch": (1, 2, 2),
        "width": 192,
        "depth": 6,
        "num_heads": 6,
        "mlp_width": 768,
        "num_classes": NUM_CLASSES,
        "remat": "none",
        "dtype": "float32",
    }
    config.update({"sample": {"prompts": (), "labels": (0, 1, 2)}})
    return config
