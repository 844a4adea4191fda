"""Quickstart: a 3-minute text-to-video run on two CPU cores, end to end.

What: a single-stream video DiT with cross-attention (the `wan` family, tiny) trained by
rectified flow on the latents of three short clips, to show and test the whole line. It
memorises its scenes; it is not a model of video.

Source: the family is Wan 2.1's block (arXiv 2503.20314, section 4.2), at a small fraction of the
smallest published width x depth.
Hardware: two CPU cores.
Data: `make quickstart` encodes it; by hand:
  python -m data_pipelines encode --videos=quickstart --out=runs/quickstart/data
Command:
  python -m videogen.train --config=configs/quickstart.py --workdir=runs/quickstart
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
        "global_batch": 16,
        "text_dropout": 0.1,
        "num_threads": 2,
        "prefetch": 2,
    }
    config.model = {
        "family": "wan",
        "latent_channels": 16,
        "patch": (1, 2, 2),
        "width": 192,
        "depth": 6,
        "num_heads": 6,
        "mlp_width": 768,
        "text_dim": 384,
        "remat": "none",
        "dtype": "float32",
    }
    config.mesh = {"replica": 1, "fsdp": -1, "context": 1, "tensor": 1}
    config.time = {"kind": "logit_normal", "mean": 0.0, "std": 1.0, "shift": 1.0}
    config.optimizer = {
        "learning_rate": 1e-3,
        "schedule": "constant",
        "warmup_steps": 20,
        "weight_decay": 0.01,
        "clip_norm": 1.0,
        "ema_decay": 0.99,
    }
    config.train = {
        "steps": 400,
        "log_every": 10,
        "validate_every": 100,
        "sample_every": 200,
        "checkpoint_every": 100,
        "keep_checkpoints": 3,
        "max_skipped": 20,
    }
    config.init_from = ""
    config.validation = {"num_times": 8, "max_clips": 64, "batch_size": 4, "seed": 0}
    config.sample = {
        "prompts": (),  # of the captions that it was trained on
        "seed": 0,
        "guidance": 3.0,
        "method": "heun",
        "num_steps": 20,
        "shift": 1.0,
        "upscale": 4,
    }
    return config
