"""Movie Gen Video 30B, in the stages of its Table 3.

What: text to video, up to 256 frames of 768 x 768 (73,728 tokens): images first, then images
and video together at 256 px, then at 768 px. The learning rate is cut where the validation
loss stops falling; learned tables of positions grow from stage to stage.

Source: arXiv 2410.13720, Tables 1 to 3 and 9, sections 3.1 to 3.4.
Recipe: stages below. Table 3 says 123k steps for the first joint stage; with its batch, what
was seen (173.6M) and the sum of all (185k) make that 113k, which stands here. Images are one
in ten of what joint stages see. Buckets: 5 aspect ratios; 128 to 256 frames at 16 to 32 fps.
Hardware: 1,536 to 6,144 H100; tensor 4, context 2 for the last stages. FSDP, sequence and
context parallelism (keys and values gathered).
Counts: a core of 48 x 603,979,776 parameters is published; 29,303,267,392 in all here.
Unverified: modulation shared by all blocks (of the size: one a block would make 39.9B), no
norm of q and k, tokens of UL2 and ByT5, optimizer, dropout, the sizes of position tables.
Needs: latents of the temporal autoencoder (8 x 8 x 8, 16 channels) and embeddings of UL2,
MetaCLIP and ByT5 (text_BLD, text2_BLX, text3_BLX); none is public.
Command:
  python -m videogen.train --config=configs/movie_gen_30b.py \
      --workdir=runs/movie_gen_30b --config.data.path='DATASETS/{stage}'
"""

from ml_collections import config_dict

from configs import pretraining

TABLE_3 = "arXiv 2410.13720, Table 3"


def joint(name: str, steps: int, batch: int, rate: float, rows: int) -> dict:
    """A stage of images and video, whose tables hold `rows` x `rows` places."""
    sizes = {"model.position_sizes": (32, rows, rows)}
    return pretraining.stage(name, steps, batch, rate, **sizes)


def get_config() -> config_dict.ConfigDict:
    """Movie Gen Video 30B."""
    config = pretraining.get_config()
    config.model = {
        "name": "movie_gen_30b",
        "position_sizes": (1, 16, 16),
        "remat": "attention",
        "dtype": "bfloat16",
    }
    config.init_positions = "extend"
    config.objective = {"sign": -1, "told": "data_time", "sigma_min": 1e-5}
    config.optimizer.update({"learning_rate": 1e-4})
    config.data.update({"global_batch": 9216})
    config.plateau = {"factor": 0.5, "patience": 5, "least": 1e-6}
    config.sample.update(
        {"num_steps": 50, "schedule": "linear_quadratic", "guidance": 7.5}
    )
    config.stages = (
        {"name": "images_256", "steps": 210_000},
        joint("joint_256_a", 113_000, 1536, 6e-5, 32),
        joint("joint_256_b", 72_000, 3072, 6e-5, 32),
        joint("joint_768_a", 19_600, 1536, 6e-5, 96),
        joint("joint_768_b", 11_000, 1536, 3e-5, 96),
        joint("joint_768_c", 15_900, 768, 2e-5, 96),
        joint("joint_768_d", 28_000, 512, 1e-5, 96),
    )
    config.train.update({"steps": sum(stage["steps"] for stage in config.stages)})
    config.published = {
        "data": {"global_batch": TABLE_3},
        "objective": "section 3.1.2",
        "optimizer": {
            "learning_rate": TABLE_3,
            "schedule": "no decay: cut on a plateau",
        },
        "sample": {
            "guidance": "section 3.4.2",
            "num_steps": "section 3.4.2",
            "schedule": "section 3.4.2",
        },
        "stages": TABLE_3,
        "train": {"steps": TABLE_3},
        "time": "section 3.1.2: logit-normal (0, 1)",
    }
    config.assumed = {
        "data": {"text_dropout": "not stated for video"},
        "init_positions": "tables grow; how is not stated",
        "model": "see `videogen models movie_gen_30b`",
        "optimizer": {
            "b1": "not stated",
            "b2": "not stated",
            "eps": "not stated",
            "clip_norm": "not stated",
            "ema_decay": "not stated",
            "warmup_steps": "not stated",
            "weight_decay": "not stated",
        },
        "plateau": "the rate is cut on a plateau; factor and patience are not stated",
    }
    return config
