"""Step-Video-T2V 30B.

What: text to video, 204 frames of 544 x 992 (75,888 tokens); two text encoders in one
sequence.

Source: arXiv 2502.10248, Table 6; stepfun-ai/Step-Video-T2V.
Recipe: images 256 px: 1e-4, 253k steps, 3.8B seen; 192 x 320 with images: 6e-5, 430k, 644M;
544 x 992: 2e-5 23k, 1e-5 17k, 1e-5 6k. Batches are seen / steps: about 15,000, 1,500, 752,
500, 250.
Hardware: H800, about 3,000; TP 8, SP, ZeRO-1; MFU 32 %.
Counts: 29,342,478,400 parameters (exact); the table of FLOPs of its paper is a test here.
Unverified: which times are drawn, dropout, betas and decay.
Needs: latents of the release's own autoencoder, which this project does not hold yet; of text
encoders it reads T5's, UMT5's, ByT5's and CLIP's weights (README).
On our own latents and captions the same trunk trains with
--config.model.latent_channels=16 --config.model.text_dim=384
--config.model.more_text_dims="()".
Command:
  python -m videogen.train --config=configs/step_video_30b.py \
      --workdir=runs/step_video_30b --config.data.path='DATASETS/{stage}'
"""

from ml_collections import config_dict

from configs import pretraining


def get_config() -> config_dict.ConfigDict:
    """Step-Video-T2V 30B."""
    config = pretraining.get_config()
    config.model = {"name": "step_video_30b", "remat": "attention", "dtype": "bfloat16"}
    config.objective = {"sign": -1, "told": "data_time"}
    config.time = {"kind": "uniform"}
    config.sample.update({"shift": 13.0, "guidance": 9.0, "num_steps": 50})
    config.optimizer.update({"learning_rate": 1e-4})
    config.data.update({"global_batch": 15_000})
    config.stages = (
        {"name": "images_256", "steps": 253_000},
        pretraining.stage("joint_192x320", 430_000, 1500, 6e-5),
        pretraining.stage("joint_544x992_a", 23_000, 752, 2e-5),
        pretraining.stage("joint_544x992_b", 17_000, 500, 1e-5),
        pretraining.stage("joint_544x992_c", 6_000, 250, 1e-5),
    )
    config.train.update({"steps": sum(stage["steps"] for stage in config.stages)})
    config.published = {
        "optimizer": {"learning_rate": "Table 6"},
        "stages": "Table 6; batches are seen over steps",
        "train": {"steps": "Table 6"},
        "objective": "(5) and (6)",
        "sample": {
            "shift": "stepvideo/config",
            "guidance": "stepvideo/config",
            "num_steps": "stepvideo/config",
        },
    }
    config.assumed = {
        "data": {"global_batch": "seen over steps", "text_dropout": "not stated"},
        "time": "'random t'",
        "optimizer": "all but the rate: not stated",
    }
    return config
