"""SiT-XL/2 on ImageNet 256 x 256

What: DiT-XL/2's network with a velocity on the linear path.

Source: arXiv 2401.08740; willisma/SiT.
Recipe: as DiT-XL/2: AdamW 1e-4 constant, batch 256, EMA 0.9999, 7M steps.
Hardware: not stated.
Counts: 675,129,632 parameters with the fixed table (exact).
Unverified: whether time is embedded times 1000 (here: not).
Needs: latents of the Stable Diffusion autoencoder (x 0.18215), which this project does not
hold yet, with a `label` a clip; on our own: --config.data.tokenizer=linear
--config.model.latent_channels=16 --config.model.out_channels=32.
Command:
  python -m videogen.train --config=configs/sit_xl_2.py \
      --workdir=runs/sit_xl_2 --config.data.path=DATASET
"""

from ml_collections import config_dict

from configs import pretraining


def get_config() -> config_dict.ConfigDict:
    """SiT-XL/2 on ImageNet 256 x 256."""
    config = pretraining.get_config()
    config.model = {"name": "sit_xl_2", "remat": "attention", "dtype": "bfloat16"}
    config.objective = {"sign": -1, "told": "data_time", "told_scale": 0.001}
    config.time = {"kind": "uniform"}
    config.sample.update({"guidance": 1.5, "num_steps": 250})
    config.optimizer.update(
        {
            "learning_rate": 0.0001,
            "b2": 0.999,
            "weight_decay": 0.0,
            "ema_decay": 0.9999,
            "warmup_steps": 1,
            "clip_norm": 1000000000.0,
        }
    )
    config.data.update({"global_batch": 256})
    config.train.update({"steps": 7000000})
    config.published = {
        "optimizer": {
            "learning_rate": "facebookresearch/DiT train.py",
            "weight_decay": "train.py",
            "ema_decay": "train.py",
            "warmup_steps": "none: train.py",
            "b2": "train.py",
        },
        "data": {"global_batch": "train.py"},
        "train": {"steps": "willisma/SiT README"},
        "objective": "diffusion/",
        "time": "diffusion/",
    }
    config.assumed = {"optimizer": {"clip_norm": "none: a bound that is never reached"}}
    return config
