"""Quickstart: a text-to-video run of minutes on two CPU cores, end to end.

What: a single-stream video DiT with cross-attention (the `cross` family, 5 M parameters)
trained by rectified flow on 132 overlapping clips of three short videos. It shows and
tests the whole line. It memorises its scenes; it is not a model of video.

Source: the family is Wan 2.1's block (arXiv 2503.20314, section 4.2), a small fraction of
the smallest published size, with a larger patch and a shorter rotary period to suit a
latent of 5 x 8 x 12.
Hardware: two CPU cores.
Data: `make quickstart` encodes it; by hand:
  python -m data_pipelines all --videos=quickstart --stride-seconds=0.083333 \
      --out=runs/quickstart/data
Command:
  python -m videogen.train --config=configs/quickstart.py --workdir=runs/quickstart
Expect: validation loss (EMA) from 1.93 at step 0 to about 1.29 at step 1000; samples in
which each caption's scene is recognised.
"""

from ml_collections import config_dict


def get_config() -> config_dict.ConfigDict:
    """The whole experiment. Every field can be overridden: --config.a.b=c."""
    config = config_dict.ConfigDict()
    config.seed = 0
    config.data = {
        "path": "runs/quickstart/data",
        "tokenizer": "linear",
        "text_encoder": "minilm",
        "text_version": "v1",
        "global_batch": 6,
        "text_dropout": 0.1,
        "num_threads": 2,
    }
    config.model = {
        "family": "cross",
        "latent_channels": 16,
        "patch": (1, 2, 4),
        "width": 256,
        "depth": 4,
        "num_heads": 4,
        "mlp_width": 1024,
        "text_dim": 384,
        "rope_theta": 100.0,
        "remat": "none",
        "dtype": "float32",
    }
    config.mesh = {"replica": 1, "fsdp": -1, "context": 1, "tensor": 1}
    config.objective = {"path": "flow", "predict": "velocity"}
    config.time = {"kind": "logit_normal", "mean": 0.0, "std": 1.0, "shift": 1.0}
    config.optimizer = {
        "learning_rate": 1e-3,
        "schedule": "constant",
        "warmup_steps": 20,
        "weight_decay": 0.1,
        "clip_norm": 1.0,
        "ema_decay": 0.99,
    }
    config.train = {
        "steps": 1000,
        "log_every": 20,
        "validate_every": 200,
        "sample_every": 500,
        "checkpoint_every": 200,
        "keep_checkpoints": 3,
        "max_skipped": 20,
    }
    config.init_from = ""
    config.validation = {"num_times": 8, "max_clips": 64, "batch_size": 4, "seed": 0}
    config.sample = {
        "prompts": (),  # of the captions that it was trained on
        "seed": 0,
        "guidance": 1.5,
        "method": "heun",
        "num_steps": 20,
        "shift": 1.0,
        "upscale": 4,
    }
    return config
