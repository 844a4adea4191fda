"""DiT-XL/2 on ImageNet 256 x 256.

What: class-conditional images, noise prediction with a learned variance; a video of one
frame.

Source: arXiv 2212.09748; facebookresearch/DiT.
Recipe: AdamW 1e-4 constant without warm-up or decay, batch 256, EMA 0.9999, class dropout
0.1; 7M steps (400K for ablations).
Hardware: TPU v3-256 (JAX, the paper).
Counts: 675,129,632 parameters with the fixed position table (exact).
Unverified: 512 x 512 took 3M steps, says the paper; not checked here.
Needs: latents of the Stable Diffusion autoencoder (x 0.18215), with a `label` a clip, which
this project does not hold yet. On our own latents and captions the same trunk trains with
--config.model.latent_channels=16 --config.model.out_channels=32.
Command:
  python -m videogen.train --config=configs/dit_xl_2.py \
      --workdir=runs/dit_xl_2 --config.data.path=DATASET
"""

from ml_collections import config_dict

from configs import pretraining


def get_config() -> config_dict.ConfigDict:
    """DiT-XL/2 on ImageNet 256 x 256."""
    config = pretraining.get_config()
    config.model = {"name": "dit_xl_2", "remat": "attention", "dtype": "bfloat16"}
    config.objective = {
        "path": "ddpm",
        "predict": "noise",
        "told": "step",
        "learn_sigma": True,
    }
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
            "b1": "train.py",
            "b2": "train.py",
            "schedule": "train.py: constant",
        },
        "data": {"global_batch": "train.py", "text_dropout": "of classes: train.py"},
        "train": {"steps": "arXiv 2212.09748"},
        "objective": "diffusion/",
        "sample": "README",
        "time": "diffusion/",
    }
    config.assumed = {
        "optimizer": {
            "clip_norm": "none: a bound that is never reached",
            "eps": "PyTorch's default",
        }
    }
    return config
