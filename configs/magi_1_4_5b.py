"""MAGI-1 4.5B.

What: video chunk after chunk of 24 frames: attention is causal across chunks, and each
chunk has a noise level of its own, later ones the noisier.

Source: arXiv 2505.13211, Table 2 and section 2.2; SandAI-org/MAGI-1 inference/model/dit.
Recipe: AdamW (0.9, 0.95), decay 0.1, peak 1e-4, constant in stages 1 and 2, cut on a
plateau in stage 3 down to 1e-5; 360p and images, 480p, then 720p up to 16 s.
Hardware: not published.
Counts: 4,459,898,128 parameters, by the authors' code (exact).
Unverified: one caption for the whole video, where the release gives each chunk its own; the
share of clean chunks.
Needs: latents of the release's own autoencoder, which this project does not hold yet; of text
encoders it reads T5's, UMT5's, ByT5's and CLIP's weights (README).
On our own latents and captions the same trunk trains with
--config.model.text_dim=384.
Command:
  python -m videogen.train --config=configs/magi_1_4_5b.py \
      --workdir=runs/magi_1_4_5b --config.data.path=DATASET
"""

from ml_collections import config_dict

from configs import pretraining


def get_config() -> config_dict.ConfigDict:
    """MAGI-1 4.5B."""
    config = pretraining.get_config()
    config.model = {"name": "magi_1_4_5b", "remat": "attention", "dtype": "bfloat16"}
    config.time = {"std": 0.5, "shift": 3.0, "chunk_frames": 6}
    config.plateau = {"factor": 0.5, "patience": 5, "least": 1e-05}
    config.optimizer.update(
        {"learning_rate": 0.0001, "b2": 0.95, "weight_decay": 0.1, "warmup_steps": 1000}
    )
    config.published = {
        "optimizer": {
            "learning_rate": "Table 2",
            "b1": "Table 2",
            "b2": "Table 2",
            "schedule": "Table 2: constant in stages 1 and 2",
            "weight_decay": "Table 2",
            "warmup_steps": "Table 2",
        },
        "time": {
            "std": "section 2.2.3",
            "shift": "section 2.2.3: w = 1/3",
            "chunk_frames": "24 frames of video",
        },
        "plateau": {"least": "Table 2"},
    }
    config.assumed = {
        "optimizer": "eps, clip and average: not stated",
        "sample": "ours",
        "plateau": {"factor": "not stated", "patience": "not stated"},
        "data": {"global_batch": "not stated", "text_dropout": "not stated"},
        "train": {"steps": "not stated"},
    }
    return config
