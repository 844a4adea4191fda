"""What the configs of published models share: a text-to-video pre-training on latent shards.

What: the sections that a published recipe rarely states, with values of ours. It is no
experiment of its own: configs import it, and say in `published` and `assumed` which of
their values come from where; training prints both lists at the start.
Source: ours.
Hardware: a pod slice; parameters and moments are cut over `fsdp`, sequences over `context`
(--config.mesh.context=8).
Command: that of a config that builds on it.
"""

from ml_collections import config_dict


def stage(name: str, steps: int, batch: int, rate: float, **more: object) -> dict:
    """A stage of a recipe: so many steps, clips a batch and learning rate, and other fields."""
    own = {"data.global_batch": batch, "optimizer.learning_rate": rate}
    return {"name": name, "steps": steps, **own, **more}


def get_config() -> config_dict.ConfigDict:
    """All sections but the model. Every field can be overridden: --config.a.b=c."""
    config = config_dict.ConfigDict()
    config.seed = 0
    config.init_from = ""
    config.data = {
        "path": "data/latents",
        "tokenizer": "linear",
        "text_encoder": "minilm",
        "text_version": "v1",
        "global_batch": 256,
        "text_dropout": 0.1,
        "num_threads": 4,
    }
    config.mesh = {"replica": 1, "fsdp": -1, "context": 1, "tensor": 1}
    config.objective = {}
    config.time = {}
    config.optimizer = {
        "learning_rate": 1e-4,
        "schedule": "constant",
        "warmup_steps": 1000,
        "b1": 0.9,
        "b2": 0.95,
        "eps": 1e-8,
        "weight_decay": 0.01,
        "clip_norm": 1.0,
        "ema_decay": 0.9999,
    }
    config.plateau = {}
    config.train = {
        "steps": 100_000,
        "log_every": 20,
        "validate_every": 1000,
        "sample_every": 5000,
        "checkpoint_every": 1000,
        "keep_checkpoints": 3,
        "max_skipped": 20,
    }
    config.validation = {"num_times": 8, "max_clips": 512, "batch_size": 64, "seed": 0}
    config.sample = {"prompts": (), "seed": 0, "guidance": 5.0, "num_steps": 50}
    return config
